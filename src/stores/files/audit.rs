//! The audit log as files of JSON lines, one a day: a line is added at the end, a day that is too old is a file that is removed.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use foryou_actors::ports::{
    audit::{AuditLine, AuditLog, Outcome},
    store::StoreError,
};
use foryou_schemas::Timestamp;
use serde::{Deserialize, Serialize};

use super::{failed, make_folder, on_disk};

const DAY_MS: i64 = 86_400_000;
const PREFIX: &str = "audit-";
const ENDING: &str = ".jsonl";

/// The audit log in a folder. Any number of processes may add to it.
#[derive(Debug, Clone)]
pub struct AuditFiles {
    folder: PathBuf,
    days: u32,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: Box<str>,
    at: Timestamp,
    who: Box<str>,
    from: Box<str>,
    action: Box<str>,
    on: Box<str>,
    outcome: Box<str>,
    detail: Box<str>,
}

impl AuditFiles {
    /// In a folder, which is made with the first line; lines are kept for so many days.
    pub fn new(folder: &Path, days: u32) -> Self {
        Self { folder: folder.to_owned(), days }
    }

    fn path(&self, day: &str) -> PathBuf {
        self.folder.join(format!("{PREFIX}{day}{ENDING}"))
    }

    /// The first day that is kept.
    fn first_day(&self) -> String {
        day(Timestamp::now().plus_millis(-i64::from(self.days) * DAY_MS))
    }

    /// The days that there are, in order; those that are too old are removed.
    fn days(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.folder)(error)),
        };
        let (first, mut days) = (self.first_day(), Vec::new());
        for entry in entries {
            let name = entry.map_err(failed(&self.folder))?.file_name();
            let day = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(ENDING));
            match day {
                Some(day) if *day < *first => {
                    let path = self.path(day);
                    // Another process may have removed it.
                    fs::remove_file(&path).or_else(not_there).map_err(failed(&path))?;
                }
                Some(day) => days.push(day.to_owned()),
                None => {}
            }
        }
        days.sort_unstable();
        Ok(days)
    }

    fn append(&self, line: &AuditLine) -> Result<(), StoreError> {
        let day = day(line.at);
        if day < self.first_day() {
            return Ok(());
        }
        make_folder(&self.folder)?;
        let path = self.path(&day);
        let mut text = serde_json::to_vec(&Line::from(line)).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        text.push(b'\n');
        let is_new = !path.exists();
        let mut file = File::options().create(true).append(true).mode(0o600).open(&path).map_err(failed(&path))?;
        // One write at the end of the file: lines of several processes do not mix.
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed(&path))?;
        if is_new {
            self.days()?;
            File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&self.folder))?;
        }
        Ok(())
    }

    fn latest(&self, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        let mut latest: Vec<AuditLine> = Vec::new();
        for day in self.days()?.iter().rev() {
            if latest.len() >= limit {
                break;
            }
            let path = self.path(day);
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path)(error)),
            };
            // What a crash cut off is no line.
            let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
            let mut of_day = lines.map(Line::read).collect::<Result<Vec<_>, _>>()?;
            of_day.retain(|line| before.is_none_or(|before| *line.id < *before));
            of_day.sort_by(|a, b| b.id.cmp(&a.id));
            of_day.truncate(limit - latest.len());
            latest.append(&mut of_day);
        }
        Ok(latest)
    }
}

fn not_there(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The day as it stands in a file's name: later days come later in the alphabet.
fn day(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

impl Line {
    fn read(self) -> Result<AuditLine, StoreError> {
        Ok(AuditLine {
            outcome: Outcome::parse(&self.outcome)?,
            id: self.id,
            at: self.at,
            who: self.who,
            from: self.from,
            action: self.action,
            on: self.on,
            detail: self.detail,
        })
    }
}

impl From<&AuditLine> for Line {
    fn from(line: &AuditLine) -> Self {
        let AuditLine { id, at, who, from, action, on, outcome, detail } = line.clone();
        Self { id, at, who, from, action, on, outcome: outcome.word().into(), detail }
    }
}

#[async_trait]
impl AuditLog for AuditFiles {
    async fn append(&self, line: &AuditLine) -> Result<(), StoreError> {
        let (log, line) = (self.clone(), line.clone());
        on_disk(move || log.append(&line)).await
    }

    async fn latest(&self, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        let (log, before) = (self.clone(), before.map(str::to_owned));
        on_disk(move || log.latest(before.as_deref(), limit)).await
    }
}
