//! What a person sees of an import on standard error: progress, and the lines that were refused.

use std::{
    fmt::Display,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

/// How many refused lines are told in full; the rest is counted.
const TOLD: u64 = 20;
/// How often a plain line tells the progress where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(3);

/// A place in a source, for reports; see [`Report::file`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the file.
    pub file: u32,
    /// Line of a text file or row of a Parquet file, from 1.
    pub line: u64,
}

/// Progress and refusals of one import; shared by reader and writer.
pub struct Report {
    bar: ProgressBar,
    said: Mutex<Instant>,
    files: Mutex<Vec<String>>,
    skipped: AtomicU64,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// A bar on a terminal, plain lines elsewhere.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        let template = "{msg:32!} {wide_bar} {percent:>3} % {elapsed} (left {eta})";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, said: Mutex::new(Instant::now()), files: Mutex::default(), skipped: AtomicU64::new(0) }
    }

    /// Begins a step of `total` units (rows or bytes; 0: unknown).
    pub fn step(&self, what: impl Into<String>, total: u64) {
        self.bar.reset();
        self.bar.set_length(total);
        self.bar.set_message(what.into());
        self.say();
    }

    /// The step goes on under another name.
    pub fn rename(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// `done` units more of the step are done.
    pub fn advance(&self, done: u64) {
        self.bar.inc(done);
        if self.bar.is_hidden() && self.said.lock().elapsed() >= PLAIN_EVERY {
            self.say();
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
        let skipped = self.skipped();
        if skipped > TOLD {
            tracing::warn!(skipped, "{} more lines were skipped", skipped - TOLD);
        }
    }

    /// The number under which a file is named in a [`Place`].
    pub fn file(&self, path: &Path) -> u32 {
        let mut files = self.files.lock();
        files.push(path.display().to_string());
        files.len() as u32 - 1
    }

    /// Counts a line that is left out, and tells the first of them.
    pub fn skip(&self, place: Place, reason: impl Display) {
        if self.skipped.fetch_add(1, Ordering::Relaxed) < TOLD {
            let file = self.files.lock().get(place.file as usize).cloned().unwrap_or_default();
            self.bar.suspend(|| tracing::warn!("skipped {file}:{}: {reason}", place.line));
        }
    }

    /// How many lines were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    fn say(&self) {
        if self.bar.is_hidden() {
            *self.said.lock() = Instant::now();
            match self.bar.length() {
                Some(total) if total > 0 => {
                    let percent = 100 * self.bar.position() / total;
                    eprintln!("{}: {} of {total} ({percent} %)", self.bar.message(), self.bar.position());
                }
                _ => eprintln!("{}: {}", self.bar.message(), self.bar.position()),
            }
        }
    }
}
