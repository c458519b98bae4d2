//! What the contract suites of the ports share.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use async_trait::async_trait;
use foryou_schemas::{Event, EventId, Kind, Timestamp, UserId, VideoId};

/// An implementation under test, empty at first.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The port's implementation.
    type Port;
    /// Opens it; again, once the former handle is dropped, with what was written before.
    async fn open(&self) -> Self::Port;
}

/// A user id.
pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

/// The instant `ms` milliseconds after a fixed one.
pub fn instant(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms as i64).unwrap()
}

/// A person's event number `n`, with an id of its own.
pub fn event(person: &UserId, n: u64) -> Event {
    let viewed = n.is_multiple_of(2);
    Event {
        id: EventId::new(format!("{person}/{n}")).unwrap(),
        user: person.clone(),
        video: VideoId::new(format!("v{}", n % 7)).unwrap(),
        kind: if viewed { Kind::View } else { Kind::Like },
        watch_ms: viewed.then_some(n as u32 * 100),
        at: instant(n),
        feed: None,
        position: None,
        surface: (n % 3 == 1).then(|| "following".into()),
    }
}

const CRASH_FOLDER: &str = "FORYOU_CRASH_FOLDER";

/// In a process that [`kill_during`] started: the folder to work on. A test that finds none has nothing to do.
pub fn crash_folder() -> Option<PathBuf> {
    std::env::var_os(CRASH_FOLDER).map(Into::into)
}

/// Tells the process that waits for the crash what is done.
pub fn report(done: &str) {
    println!("{REPORT}{done}");
}

const REPORT: &str = "done: ";

/// Runs the named test of this binary in a process of its own, kills it (SIGKILL) after `reports` calls of [`report`], and
/// returns all that was reported until then.
pub fn kill_during(test: &str, folder: &Path, reports: usize) -> Vec<String> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CRASH_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = Vec::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test runner may have begun the line.
        done.extend(line.split_once(REPORT).map(|(_, what)| what.to_owned()));
        if done.len() == reports {
            process.kill().unwrap();
        }
    }
    assert!(!process.wait().unwrap().success() && done.len() >= reports, "{test} ended by itself");
    done
}
