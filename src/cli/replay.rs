//! `foryou replay`: a log in time order through the real engine, each row predicted before its outcome is applied.

use std::{path::PathBuf, time::Duration};

use super::duration;

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The log: KuaiRand's columns as Parquet or CSV, or events as JSON lines.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Apply each outcome this much later than it happened.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    pub delay: Duration,
    /// Where the predictions go, one row each.
    #[arg(long, value_name = "OUT.parquet")]
    pub predictions: PathBuf,
}
