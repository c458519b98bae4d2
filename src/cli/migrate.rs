//! `foryou migrate`: what has to exist before the server starts.

use serde::Serialize;

use super::Context;
use crate::{
    brokers::rabbitmq,
    config::{BusKind, StoreKind},
    stores::scylla,
};

#[derive(Serialize)]
struct Migrated {
    store: StoreKind,
    bus: BusKind,
    /// Migrations of the store that were applied now.
    applied: Vec<&'static str>,
}

/// Runs the command. Done again, it changes nothing.
pub fn run(context: &Context) -> anyhow::Result<()> {
    let (store, bus) = (context.config.store.kind, context.config.bus.kind);
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut text = Vec::new();
        let applied = match store {
            // It makes its files when it is opened.
            StoreKind::Embedded => Vec::new(),
            StoreKind::Scylla => {
                let settings = &context.config.store.scylla;
                let migrated = scylla::migrate(settings).await?;
                text.push(match migrated.applied.as_slice() {
                    [] => format!("keyspace {} is up to date", settings.keyspace),
                    applied => format!("keyspace {}: applied {}", settings.keyspace, applied.join(", ")),
                });
                migrated.applied
            }
        };
        match bus {
            BusKind::Embedded => {}
            BusKind::Rabbitmq => {
                rabbitmq::declare(&context.config.bus).await?;
                let partitions = context.config.bus.partitions.get();
                text.push(format!(
                    "{} and its queues ({partitions} partitions) are there",
                    context.config.bus.rabbitmq.name
                ));
            }
        }
        if text.is_empty() {
            text.push("nothing to do: store and bus are embedded".to_owned());
        }
        context.print(&Migrated { store, bus, applied }, || text.join("\n"))
    })
}
