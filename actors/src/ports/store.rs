//! The feature store: profiles, catalogue, activity, session snapshots, statistics and the impression log.

#[cfg(feature = "contract")]
pub mod contract;
pub mod creators;

use async_trait::async_trait;
use foryou_schemas::{CreatorId, Event, EventId, Timestamp, User, UserId, Video, VideoId};

use self::creators::{Before, Related, Said, Standing};
use crate::{
    sessions::state::Outcomes,
    statistics::{Expected, TallyKey},
};

/// Why the store did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, out of time, or the disk failed: worth trying again.
    #[error("the feature store is away: {0}")]
    Away(String),
    /// Another node took over what this one owned (it seemed gone): nothing was written, and what is in memory here may be behind
    /// the store. The next write begins anew.
    #[error("another node took over: {0}")]
    Fenced(String),
    /// What was read does not decode: says what, and what to do.
    #[error("the feature store holds something unreadable: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Why, for where it is said already that this is about the store.
    pub fn reason(self) -> String {
        match self {
            Self::Away(reason) => reason,
            error => error.to_string(),
        }
    }
}

/// An event together with what it changed, as applied by its session.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// The event.
    pub event: Event,
    /// Its number among the person's events, from 1.
    pub seq: u64,
    /// Its number among the events that this owner applied: the order in which statistics were folded.
    pub order: u64,
    /// Outcomes that were new for the exposure.
    pub gained: Outcomes,
    /// Outcomes that were taken back.
    pub lost: Outcomes,
    /// What the exposure could be expected to come to; kept, so that a session is rebuilt to the bit.
    pub expected: Expected,
}

/// What a session is rebuilt from.
#[derive(Debug, Clone, Default)]
pub struct StoredSession {
    /// The latest snapshot (an encoded [`crate::sessions::snapshot::Snapshot`]), if there is one.
    pub snapshot: Option<Vec<u8>>,
    /// The profile, if one was told.
    pub profile: Option<User>,
    /// Activity after the snapshot (all of it, where there is none), by `seq`.
    pub tail: Vec<Activity>,
    /// The creators that the person follows or blocks, with the events of the tail, in any order.
    pub creators: Vec<(CreatorId, Standing)>,
}

/// A feed that was served, encoded; for training and for replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// Whose feed.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
    /// Unique per feed.
    pub feed: foryou_schemas::FeedId,
    /// The record, in the encoding of its writer.
    pub record: Vec<u8>,
}

/// A set of changes that become durable together. Writing the same batch twice has the effect of writing it once.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Applied events, in order.
    pub activity: Vec<Activity>,
    /// Session snapshots: user, number of the latest event in it, encoded snapshot.
    pub snapshots: Vec<(UserId, u64, Vec<u8>)>,
    /// Absolute values of the statistics that changed, encoded.
    pub tallies: Vec<(TallyKey, Vec<u8>)>,
    /// The order number up to which `tallies` count, when there are any.
    pub order: Option<u64>,
    /// Feeds that were served.
    pub impressions: Vec<Impression>,
    /// What was said of creators, in order. What an event said counts where the event is new, as `activity` does.
    pub creators: Vec<Said>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.activity.is_empty()
            && self.snapshots.is_empty()
            && self.tallies.is_empty()
            && self.impressions.is_empty()
            && self.creators.is_empty()
    }
}

/// A visitor of a scan; an error ends the scan.
pub type Visit<'a, T> = &'a mut (dyn FnMut(T) -> Result<(), StoreError> + Send);

/// The feature store. Every write is durable when it returns; reads see every write that has returned.
#[async_trait]
pub trait FeatureStore: Send + Sync + 'static {
    /// Writes a batch, all or nothing as far as the engine can. Activity whose event id is known already is left out.
    async fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Which of these events were written before, in the order of `ids`.
    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError>;

    /// What a person's session is rebuilt from. An unknown person is not an error.
    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError>;

    /// A person's latest events, newest (highest `seq`) first.
    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError>;

    /// The creators that a person follows or blocks, newest first, up to `limit` of them from the place `before` on.
    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError>;

    /// Writes profiles; returns for each whether it is new.
    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError>;

    /// A profile. `Some` with an empty profile for a person known only by events; `None` for an unknown one.
    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError>;

    /// Forgets a person: profile, activity, snapshot, impressions, creators. Returns whether there was anything. The event ids stay known,
    /// as hashes that tell nothing of the person: an event that is delivered again must not bring them back.
    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError>;

    /// Writes videos.
    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError>;

    /// Visits every video.
    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError>;

    /// Visits every profile.
    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError>;

    /// Visits all activity, grouped by user, by `seq` within one.
    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError>;

    /// Visits every tally of this owner, and returns the order number up to which they count.
    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError>;

    /// Visits every tally of each other owner of the store: owner, key, encoded tally. What counts is the sum over owners.
    async fn scan_foreign_tallies(&self, _visit: Visit<'_, (Box<str>, TallyKey, Vec<u8>)>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Why the store does not do its work now, where that is so; for people on call.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Visits the impression log, grouped by user, by time within one.
    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError>;
}
