//! The event bus: durable, partitioned by user, at least once.

#[cfg(feature = "contract")]
pub mod contract;

use std::time::Duration;

use async_trait::async_trait;
use foryou_schemas::{Event, UserId};

/// How many partitions a bus has unless it was created otherwise.
pub const PARTITIONS: u16 = 64;

/// The partition that carries a person's events: FNV-1a of the id, modulo `partitions`.
pub fn partition_of(user: &UserId, partitions: u16) -> u16 {
    (crate::sessions::state::event_hash(user.as_str()) % u64::from(partitions.max(1))) as u16
}

/// Why events could not be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Bounded, and full: try again after the delay.
    #[error("the event bus is full; try again in {} ms", retry_after.as_millis())]
    Full {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// Not reachable, or stopped.
    #[error("the event bus is away: {0}")]
    Away(String),
}

/// An event on its way from the bus to a session.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Names the delivery to [`Subscription::ack`]; grows.
    pub tag: u64,
    /// The event's partition.
    pub partition: u16,
    /// How often it was delivered before; 0 the first time.
    pub redelivered: u32,
    /// The event as JSON, as the edge wrote it or a producer elsewhere.
    pub payload: Vec<u8>,
}

/// Where events go in. Publishing is concurrent; the order of one caller's events for one user is kept.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Appends events. When this returns, they are durable: they will be delivered whatever happens to the process.
    async fn publish(&self, events: &[Event]) -> Result<(), BusError>;

    /// Starts to consume every partition that this node owns, with at most `credit` deliveries unacknowledged.
    async fn subscribe(&self, credit: usize) -> Result<Box<dyn Subscription>, BusError>;

    /// Events published and not yet acknowledged.
    async fn depth(&self) -> Result<u64, BusError>;

    /// Waits until everything that was published for `user` before this call is settled: applied for good, or kept aside.
    async fn settled(&self, user: &UserId) -> Result<(), BusError>;
}

/// Where events come out: at least once, first deliveries of one user in the order of publication.
#[async_trait]
pub trait Subscription: Send {
    /// The next deliveries, at least one and at most `max`; waits for credit and for events. Empty: the bus was closed. Safe to
    /// cancel: a call that is dropped before it returns has taken nothing.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError>;

    /// Settles deliveries whose effects are durable. They do not come again.
    async fn ack(&mut self, tags: &[u64]) -> Result<(), BusError>;

    /// Gives deliveries back, to be delivered again.
    async fn nack(&mut self, tags: &[u64]) -> Result<(), BusError>;

    /// Settles a delivery that can never be applied: it is kept aside with the reason.
    async fn quarantine(&mut self, tag: u64, reason: &str) -> Result<(), BusError>;
}
