//! Runs of training, kept below the data folder for the console: the one under way, and a line for each that ended.
//!
//! A run goes on where this fails: it is a report, and no part of the work.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use foryou_schemas::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How often the run under way tells where it stands.
const EVERY: Duration = Duration::from_secs(1);
/// How many ended runs are read.
const LATEST: usize = 100;

/// The run under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Current {
    /// When it began.
    pub began: Timestamp,
    /// When this was told.
    pub at: Timestamp,
    /// What it does.
    pub stage: String,
    /// Steps of the stage that are done.
    pub done: usize,
    /// All steps of the stage; 0 where that is not known.
    pub total: usize,
    /// The process.
    pub process: u32,
}

/// A run that ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Events before this instant were learned from; all, where none is told.
    pub until: Option<Timestamp>,
    /// `done` or `failed`.
    pub outcome: String,
    /// The release that it made.
    pub release: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Writes down one run.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    began: (Timestamp, Instant),
    until: Option<Timestamp>,
    state: Mutex<(String, Option<Instant>)>,
}

impl Recorder {
    /// A run begins.
    pub fn begin(data: &Path, until: Option<Timestamp>) -> Self {
        let inner = Inner {
            folder: folder(data),
            began: (Timestamp::now(), Instant::now()),
            until,
            state: Mutex::new(("reading the log".into(), None)),
        };
        let this = Self(Arc::new(inner));
        this.tell(None, 0, 0);
        this
    }

    /// Where it stands, in which stage if that is another.
    pub fn tell(&self, stage: Option<&str>, done: usize, total: usize) {
        let mut state = self.0.state.lock();
        let due = state.1.is_none_or(|told| told.elapsed() >= EVERY);
        if let Some(stage) = stage {
            state.0 = stage.to_owned();
        }
        if !(due || stage.is_some()) {
            return;
        }
        state.1 = Some(Instant::now());
        let (began, at, stage) = (self.0.began.0, Timestamp::now(), state.0.clone());
        let current = Current { began, at, stage, done, total, process: std::process::id() };
        drop(state);
        let written = fs::create_dir_all(&self.0.folder)
            .and_then(|()| fs::write(self.0.folder.join("current.new"), serde_json::to_vec(&current)?))
            .and_then(|()| fs::rename(self.0.folder.join("current.new"), self.0.folder.join("current.json")));
        if let Err(error) = written {
            tracing::debug!(%error, "where training stands could not be written down");
        }
    }

    /// It ended with a release, or failed.
    pub fn end(&self, result: Result<&str, String>) {
        let ended = Ended {
            began: self.0.began.0,
            seconds: self.0.began.1.elapsed().as_secs_f64(),
            until: self.0.until,
            outcome: if result.is_ok() { "done" } else { "failed" }.into(),
            release: result.as_ref().ok().map(|release| (*release).to_owned()),
            error: result.err(),
        };
        let append = || -> std::io::Result<()> {
            let mut line = serde_json::to_vec(&ended)?;
            line.push(b'\n');
            OpenOptions::new().create(true).append(true).open(self.0.folder.join("runs.jsonl"))?.write_all(&line)?;
            fs::remove_file(self.0.folder.join("current.json"))
        };
        if let Err(error) = append() {
            tracing::warn!(%error, "the run could not be written down");
        }
    }
}

/// The run under way, if there is one that lives, and those that ended, newest first.
pub fn read(data: &Path) -> (Option<Current>, Vec<Ended>) {
    let current = fs::read(folder(data).join("current.json")).ok();
    let current: Option<Current> = current.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let lives = |run: &Current| Path::new("/proc").join(run.process.to_string()).exists();
    let lines = fs::read_to_string(folder(data).join("runs.jsonl")).unwrap_or_default();
    let ended = lines.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(LATEST).collect();
    (current.filter(lives), ended)
}

fn folder(data: &Path) -> PathBuf {
    data.join("training")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_seen_while_it_goes_on_and_remembered_after_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).0.is_none() && read(dir.path()).1.is_empty());
        let run = Recorder::begin(dir.path(), None);
        run.tell(Some("towers"), 3, 10);
        let current = read(dir.path()).0.unwrap();
        assert_eq!((current.stage.as_str(), current.done, current.total), ("towers", 3, 10));
        run.end(Ok("2026-r"));
        Recorder::begin(dir.path(), None).end(Err("nothing to learn from".into()));
        let (current, ended) = read(dir.path());
        assert!(current.is_none());
        let told: Vec<_> = ended.iter().map(|run| (run.outcome.as_str(), run.release.as_deref())).collect();
        assert_eq!(told, [("failed", None), ("done", Some("2026-r"))]);
    }
}
