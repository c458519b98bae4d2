//! `foryou config check`: what is in force.

use clap::Subcommand;

use super::Context;

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Check the file and the environment, and print every key with the value in force, secrets masked.
    Check,
}

/// Runs the command.
pub fn run(action: Action, context: &Context) -> anyhow::Result<()> {
    let Action::Check = action;
    let shown = context.config.masked();
    let text = shown.to_toml()?;
    context.print(&shown, || text)
}
