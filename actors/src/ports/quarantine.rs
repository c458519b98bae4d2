//! Events that could never be applied, kept aside: looked at, replayed or discarded by people.

#[cfg(feature = "contract")]
pub mod contract;

use async_trait::async_trait;
use foryou_schemas::{Timestamp, UserId};

use super::bus::BusError;

/// An event that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Names it here; a later one has a greater id. Below 2^53, so that JavaScript can tell it.
    pub id: u64,
    /// When it was put aside, where that is known.
    pub at: Option<Timestamp>,
    /// The partition it came through.
    pub partition: u16,
    /// How often it had been delivered before.
    pub redelivered: u32,
    /// Why it cannot be applied.
    pub reason: String,
    /// The event as it was published; it need not be JSON.
    pub payload: Vec<u8>,
}

impl Rejected {
    /// Whom it is about, where it says so.
    pub fn user(&self) -> Option<UserId> {
        let event: serde_json::Value = serde_json::from_slice(&self.payload).ok()?;
        UserId::new(event.get("user")?.as_str()?).ok()
    }

    /// Whether its reason holds this text, in capitals or not.
    pub fn is_about(&self, reason: &str) -> bool {
        self.reason.to_lowercase().contains(&reason.to_lowercase())
    }
}

/// Where they are kept: bounded, the oldest make room.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// How many there are.
    async fn count(&self) -> Result<u64, BusError>;

    /// Up to `limit` of them, newest first, from the one before `before` on; those whose reason holds a text, where one is given.
    async fn latest(&self, before: Option<u64>, reason: Option<&str>, limit: usize) -> Result<Vec<Rejected>, BusError>;

    /// One of them.
    async fn get(&self, id: u64) -> Result<Option<Rejected>, BusError>;

    /// Publishes one again, then forgets it here. It goes the way of every event, and is parsed anew; where a reason still holds, it
    /// comes back under another id. `false`: there is none of this id.
    async fn replay(&self, id: u64) -> Result<bool, BusError>;

    /// Forgets one for good. `false`: there is none of this id.
    async fn discard(&self, id: u64) -> Result<bool, BusError>;

    /// Forgets all that is about one person.
    async fn forget(&self, user: &UserId) -> Result<(), BusError>;

    /// How many made room for later ones since this process began.
    fn dropped(&self) -> u64;
}
