//! `foryou import`: data from elsewhere into the feature store, through the same fold as live events.
//!
//! ```text
//! reader (own thread): kuairand | movielens | jsonl ──bounded chunks──► writer: known? → fold → store
//!            └ bad lines ► report: file, line, reason; counted ◄ unknown videos ┘
//! ```
//! Ids stay the source's own text and event ids are derived from the source, so importing twice changes nothing.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use foryou_actors::ports::store::{FeatureStore, StoreError};
use foryou_schemas::Timestamp;
use serde::Serialize;

pub mod jsonl;
pub mod kuairand;
pub mod movielens;
pub mod report;
pub mod sink;
pub mod table;
#[cfg(test)]
mod tests;
mod writer;

use report::Report;
use sink::Sink;
use writer::Writer;

/// Where data comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A folder in KuaiRand's layout (see [`kuairand`]).
    Kuairand(PathBuf),
    /// A folder in MovieLens' layout (see [`movielens`]).
    Movielens(PathBuf),
    /// Files of JSON lines (see [`jsonl`]); `-` is standard input.
    Jsonl(Vec<PathBuf>),
}

/// What an import did: the object that `--json` prints.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Summary {
    /// People whose profile was read.
    pub users: u64,
    /// Videos that were read.
    pub videos: u64,
    /// Events that were applied.
    pub events: u64,
    /// Events that had been applied before, or that the source holds twice: without effect.
    pub known: u64,
    /// Lines that were refused.
    pub skipped: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Why an import stopped. A single bad line never stops one.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A folder does not hold what this importer reads.
    #[error("{} is not a {what} folder: {reason}", path.display())]
    Layout {
        /// Which.
        path: PathBuf,
        /// Whose layout was expected.
        what: &'static str,
        /// What was looked for.
        reason: String,
    },
    /// A file lacks columns.
    #[error("{} lacks the columns {missing}; expected are {expected}", path.display())]
    Columns {
        /// Which.
        path: PathBuf,
        /// What is not there.
        missing: String,
        /// All that are read.
        expected: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reading thread ended early, because the writer had or because of a fault in it.
    #[error("the reader stopped: {0}")]
    Stopped(String),
}

impl ImportError {
    pub(crate) fn read(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Read { path: path.into(), reason: reason.to_string() }
    }
}

/// Chunks that may wait between reader and writer.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Imports `source` into `store`, on top of what is there. `now` bounds the times of events and dates videos without a date.
/// All times of the source are moved by `shift` into the future: an old log becomes one that a server of today can go on from.
pub async fn run(
    source: Source,
    store: &dyn FeatureStore,
    now: Timestamp,
    shift: Duration,
) -> Result<Summary, ImportError> {
    let started = Instant::now();
    let report = Arc::new(Report::new());
    let mut writer = Writer::open(store, report.clone(), now).await?;
    let (chunks, mut incoming) = tokio::sync::mpsc::channel(CHUNKS_IN_FLIGHT);
    let mut sink = Sink::new(chunks, report.clone());
    let reader = tokio::task::spawn_blocking(move || {
        match &source {
            Source::Kuairand(dir) => kuairand::read(dir, &mut sink),
            Source::Movielens(dir) => movielens::read(dir, &mut sink),
            Source::Jsonl(files) => jsonl::read(files, now, &mut sink),
        }?;
        sink.flush()
    });
    let mut written = Ok(());
    while let Some(chunk) = incoming.recv().await {
        written = writer.take(chunk.moved_by(shift)).await;
        if written.is_err() {
            break;
        }
    }
    // Closing the channel is what ends the reader where the writer failed.
    drop(incoming);
    let read = reader.await.map_err(|e| ImportError::Stopped(e.to_string()));
    written?;
    read??;
    let counted = writer.finish().await?;
    report.end();
    Ok(Summary { skipped: report.skipped(), seconds: rounded(started.elapsed()), ..counted })
}

fn rounded(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e3).round() / 1e3
}
