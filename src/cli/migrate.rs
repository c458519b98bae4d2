//! `foryou migrate`: what has to exist before the server starts.

use serde::Serialize;

use super::Context;
use crate::config::{BusKind, StoreKind};

#[derive(Serialize)]
struct Migrated {
    store: StoreKind,
    bus: BusKind,
    applied: u32,
}

/// Runs the command.
pub fn run(context: &Context) -> anyhow::Result<()> {
    let (store, bus) = (context.config.store.kind, context.config.bus.kind);
    // Embedded engines make their files when they are opened.
    if (store, bus) != (StoreKind::Embedded, BusKind::Embedded) {
        anyhow::bail!("only embedded engines are in this build");
    }
    context.print(&Migrated { store, bus, applied: 0 }, || "nothing to do: store and bus are embedded".to_owned())
}
