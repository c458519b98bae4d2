//! `foryou import`: data from elsewhere into the store.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use foryou_schemas::Timestamp;

use super::Context;
use crate::import;

/// Where the data comes from.
#[derive(Debug, Clone, Subcommand)]
pub enum Source {
    /// KuaiRand: the folder bundled in data/kuairand, or one with the official log_standard_*.csv.
    Kuairand {
        /// The folder.
        dir: PathBuf,
    },
    /// MovieLens: 1M (*.dat) or latest-small (*.csv).
    Movielens {
        /// The folder.
        dir: PathBuf,
    },
    /// Events, users and videos as in the API, one JSON object a line.
    Jsonl {
        /// The files; - is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// The command's arguments.
#[derive(Debug, Clone, Args)]
pub struct Import {
    #[command(subcommand)]
    source: Source,
    /// Move all times of the source by this into the future (as 1670d), so that an old log ends where a server of today begins.
    #[arg(long, global = true, value_name = "DURATION", default_value = "0s", value_parser = super::duration::parse)]
    shift: Duration,
}

/// Runs the command.
pub fn run(Import { source, shift }: Import, context: &Context) -> anyhow::Result<()> {
    let source = match source {
        Source::Kuairand { dir } => import::Source::Kuairand(dir),
        Source::Movielens { dir } => import::Source::Movielens(dir),
        Source::Jsonl { files } => import::Source::Jsonl(files),
    };
    context.without_nodes("import")?;
    let summary = context.on_store(async |store| Ok(import::run(source, store, Timestamp::now(), shift).await?))?;
    context.print(&summary, || {
        let import::Summary { users, videos, events, known, skipped, seconds } = summary;
        format!(
            "imported {users} users, {videos} videos and {events} events in {seconds:.1} s \
             ({known} events were known, {skipped} lines skipped)"
        )
    })
}
