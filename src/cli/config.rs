//! `foryou config check`: what is in force.

use clap::Subcommand;

use super::Context;

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Check the file and the environment, and print every key with the value in force. No key holds a secret.
    Check,
}

/// Runs the command.
pub fn run(action: Action, context: &Context) -> anyhow::Result<()> {
    let Action::Check = action;
    let text = context.config.to_toml()?;
    context.print(&context.config, || text)
}
