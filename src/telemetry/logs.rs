//! Logs and spans, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "`log.filter` {filter:?} is not a filter ({reason}); write a level, or target=level pairs, as info,foryou=debug"
    )]
    Filter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else logs already.
    #[error("logging was set up already: {0}")]
    Twice(String),
}

/// Begins to log, once per process.
pub fn init(config: &Log) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|e| LogError::Filter { filter: config.filter.clone(), reason: e.to_string() })?;
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let begun = if json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines.with_writer(std::io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(terminal).with_writer(std::io::stderr)).try_init()
    };
    begun.map_err(|e| LogError::Twice(e.to_string()))
}
