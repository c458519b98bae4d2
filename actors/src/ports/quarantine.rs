//! Events that could never be applied, kept aside: looked at, replayed or discarded by people.

use async_trait::async_trait;

use super::bus::BusError;

/// An event that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Names it here; grows.
    pub id: u64,
    /// The partition it came through.
    pub partition: u16,
    /// How often it had been delivered before.
    pub redelivered: u32,
    /// Why it cannot be applied.
    pub reason: String,
    /// The event as it was published; it need not be JSON.
    pub payload: Vec<u8>,
}

/// Where a bus keeps them.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// How many there are.
    fn count(&self) -> u64;

    /// Up to `limit` of them, newest first, from the one before `before` on.
    async fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<Rejected>, BusError>;

    /// Publishes one again as it came, then forgets it here. Where the reason still holds, it comes back under another id. `false`:
    /// there is none of this id.
    async fn replay(&self, id: u64) -> Result<bool, BusError>;

    /// Forgets one for good. `false`: there is none of this id.
    async fn discard(&self, id: u64) -> Result<bool, BusError>;
}
