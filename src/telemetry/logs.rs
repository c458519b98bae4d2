//! Logs, on standard error; and the one place where logs and traces begin.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::traces::{self, Traces};
use crate::config::{Config, LogFormat};

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
    /// Traces cannot be sent as configured.
    #[error("{0}")]
    Traces(String),
    /// Somebody else logs already.
    #[error("logging was set up already: {0}")]
    Twice(String),
}

/// Begins to log and to trace, once per process. Keep what it returns until the end: the last spans are sent then.
pub fn init(config: &Config) -> Result<Option<Traces>, LogError> {
    let log = &config.log;
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|e| LogError::Filter { filter: log.filter.clone(), reason: e.to_string() })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match json {
        true => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
        false => lines.with_ansi(terminal).boxed(),
    };
    let traces = traces::init(config).map_err(LogError::Traces)?;
    let begun = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer))
        .try_init();
    begun.map_err(|e| LogError::Twice(e.to_string()))?;
    Ok(traces)
}
