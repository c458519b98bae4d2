//! JSON lines: each an event, a user or a video of the contract, as `POST /v1/{events,users,videos}` takes them.
//!
//! What a line is follows from its fields: an event has `kind`, a video has `creator`, a user neither. An event without `id` gets
//! one from its content, so that the same line is the same event whenever it is imported. Of files, users and videos are taken
//! before any event, whatever the order; from standard input (`-`), a video has to come before its events.

use std::path::{Path, PathBuf};

use foryou_schemas::{Event, EventId, Invalid, Timestamp, User, UserId, Video, VideoId, object::Object};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ImportError, report::Place, sink::Sink, table};

/// How many events are put in order of time at once. A longer log has to be in order of time but for detours shorter than this.
const SORTED_AT_ONCE: usize = 500_000;

/// What one line holds.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// An event.
    Event(Event),
    /// A profile.
    User(UserId, User),
    /// A catalogue entry.
    Video(VideoId, Video),
}

/// Which lines a pass over the files takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Entities,
    Events,
    Both,
}

/// Reads the files. `now` stands in for a time that a line lacks.
pub fn read(files: &[PathBuf], now: Timestamp, sink: &mut Sink) -> Result<(), ImportError> {
    for file in files.iter().filter(|file| !is_stdin(file)) {
        std::fs::File::open(file).map_err(|e| ImportError::read(file, e))?;
    }
    let mut waiting = Vec::new();
    for file in files.iter().filter(|file| !is_stdin(file)) {
        pass(file, Pass::Entities, now, sink, &mut waiting)?;
    }
    for file in files {
        pass(file, if is_stdin(file) { Pass::Both } else { Pass::Events }, now, sink, &mut waiting)?;
    }
    hand_on(&mut waiting, sink)
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn pass(
    file: &Path,
    pass: Pass,
    now: Timestamp,
    sink: &mut Sink,
    waiting: &mut Vec<(Event, Place)>,
) -> Result<(), ImportError> {
    let report = sink.report.clone();
    table::lines(file, &report, |place, line| {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let is_event = Sort::of(line) == Sort::Event;
        match pass {
            Pass::Entities if is_event => return Ok(()),
            Pass::Events if !is_event => return Ok(()),
            _ => {}
        }
        match parse(line, now) {
            Ok(Line::User(id, user)) => sink.user(id, user),
            Ok(Line::Video(id, video)) => sink.video(id, video),
            Ok(Line::Event(event)) => {
                waiting.push((event, place));
                if waiting.len() >= SORTED_AT_ONCE { hand_on(waiting, sink) } else { Ok(()) }
            }
            Err(invalid) => {
                report.skip(place, invalid);
                Ok(())
            }
        }
    })
}

fn hand_on(waiting: &mut Vec<(Event, Place)>, sink: &mut Sink) -> Result<(), ImportError> {
    waiting.sort_by_key(|(event, _)| event.at);
    waiting.drain(..).try_for_each(|(event, place)| sink.event(event, place))
}

/// What a line is to be read as.
#[derive(PartialEq, Eq)]
enum Sort {
    Event,
    Video,
    User,
}

impl Sort {
    fn of(line: &[u8]) -> Self {
        match Object::parse(line) {
            Ok(fields) if fields.has("kind") => Self::Event,
            Ok(fields) if fields.has("creator") => Self::Video,
            _ => Self::User,
        }
    }
}

/// Reads one line; `now` bounds an event's time, and stands in where it has none.
pub fn parse(line: &[u8], now: Timestamp) -> Result<Line, Invalid> {
    match Sort::of(line) {
        Sort::User => User::parse_with_id(line).map(|(id, user)| Line::User(id, user)),
        Sort::Video => Video::parse_with_id(line).map(|(id, video)| Line::Video(id, video)),
        Sort::Event => Event::parse(line, now, || content_id(line)).map(Line::Event),
    }
}

/// An id from a line's content: the same for the same fields in any order and spacing.
fn content_id(line: &[u8]) -> EventId {
    let mut fields: Vec<(String, Value)> = match serde_json::from_slice(line) {
        Ok(Value::Object(fields)) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Vec::new(),
    };
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hash = Sha256::new();
    for (name, value) in fields {
        hash.update(format!("{name:?}:{value}\n"));
    }
    let digest: [u8; 32] = hash.finalize().into();
    EventId::from_u128(u128::from_be_bytes(std::array::from_fn(|i| digest[i])))
}
