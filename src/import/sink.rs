//! Where a reader puts what it reads: chunks, bounded, on their way to the writer.

use std::{sync::Arc, time::Duration};

use foryou_schemas::{Event, Timestamp, User, UserId, Video, VideoId};
use tokio::sync::mpsc;

use super::{
    ImportError,
    report::{Place, Report},
};

/// How much one chunk holds: large enough that the store's one disk sync a chunk does not count.
const CHUNK: usize = 16_384;

/// Things of one sort, in the order of the source.
pub enum Chunk {
    /// Profiles.
    Users(Vec<(UserId, User)>),
    /// Catalogue entries.
    Videos(Vec<(VideoId, Video)>),
    /// Events, in the order in which they are to be applied.
    Events(Vec<(Event, Place)>),
}

impl Chunk {
    /// With all its times moved into the future.
    pub fn moved_by(mut self, shift: Duration) -> Self {
        let shift_ms = i64::try_from(shift.as_millis()).unwrap_or(i64::MAX);
        if shift_ms > 0 {
            let moved = |at: Timestamp| at.plus_millis(shift_ms);
            match &mut self {
                Self::Users(users) => users.iter_mut().for_each(|(_, u)| u.registered_at = u.registered_at.map(moved)),
                Self::Videos(videos) => videos.iter_mut().for_each(|(_, v)| v.published_at = v.published_at.map(moved)),
                Self::Events(events) => events.iter_mut().for_each(|(event, _)| event.at = moved(event.at)),
            }
        }
        self
    }
}

/// The reader's end. Users and videos overtake events that were read shortly before them.
pub struct Sink {
    chunks: mpsc::Sender<Chunk>,
    users: Vec<(UserId, User)>,
    videos: Vec<(VideoId, Video)>,
    events: Vec<(Event, Place)>,
    /// Progress and refusals.
    pub report: Arc<Report>,
}

impl Sink {
    /// An empty one.
    pub fn new(chunks: mpsc::Sender<Chunk>, report: Arc<Report>) -> Self {
        Self { chunks, users: Vec::new(), videos: Vec::new(), events: Vec::new(), report }
    }

    /// Takes a profile.
    pub fn user(&mut self, id: UserId, user: User) -> Result<(), ImportError> {
        self.users.push((id, user));
        if self.users.len() >= CHUNK { self.flush_users() } else { Ok(()) }
    }

    /// Takes a catalogue entry.
    pub fn video(&mut self, id: VideoId, video: Video) -> Result<(), ImportError> {
        self.videos.push((id, video));
        if self.videos.len() >= CHUNK { self.flush_videos() } else { Ok(()) }
    }

    /// Takes an event.
    pub fn event(&mut self, event: Event, place: Place) -> Result<(), ImportError> {
        self.events.push((event, place));
        if self.events.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    /// Hands everything on that waits here.
    pub fn flush(&mut self) -> Result<(), ImportError> {
        self.flush_users()?;
        self.flush_videos()?;
        let events = std::mem::take(&mut self.events);
        self.send(events.is_empty(), Chunk::Events(events))
    }

    fn flush_users(&mut self) -> Result<(), ImportError> {
        let users = std::mem::take(&mut self.users);
        self.send(users.is_empty(), Chunk::Users(users))
    }

    fn flush_videos(&mut self) -> Result<(), ImportError> {
        let videos = std::mem::take(&mut self.videos);
        self.send(videos.is_empty(), Chunk::Videos(videos))
    }

    fn send(&self, empty: bool, chunk: Chunk) -> Result<(), ImportError> {
        if empty {
            return Ok(());
        }
        self.chunks.blocking_send(chunk).map_err(|_| ImportError::Stopped("nobody takes what it reads".into()))
    }
}
