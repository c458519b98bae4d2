//! The event bus: durable, partitioned by user, at least once.

#[cfg(feature = "contract")]
pub mod contract;

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use foryou_schemas::{Event, UserId};

use super::quarantine::Quarantine;

/// How many partitions a bus has unless it was created otherwise.
pub const PARTITIONS: u16 = 64;

/// The partition that carries a person's events: FNV-1a of the id, modulo `partitions`.
pub fn partition_of(user: &UserId, partitions: u16) -> u16 {
    (crate::sessions::state::event_hash(user.as_str()) % u64::from(partitions.max(1))) as u16
}

/// A set of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partitions(BTreeSet<u16>);

impl Partitions {
    /// The first `count` partitions: all of a bus.
    pub fn all(count: u16) -> Self {
        (0..count).collect()
    }

    /// Whether a partition is among them.
    pub fn contains(&self, partition: u16) -> bool {
        self.0.contains(&partition)
    }

    /// Adds one; `false` where it was there.
    pub fn insert(&mut self, partition: u16) -> bool {
        self.0.insert(partition)
    }

    /// Takes one out; `false` where it was not there.
    pub fn remove(&mut self, partition: u16) -> bool {
        self.0.remove(&partition)
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// Runs of neighbours, as `p00-p31` or `p40`, in ascending order: for people.
    pub fn ranges(&self) -> Vec<String> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for partition in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == partition => *last = partition,
                _ => runs.push((partition, partition)),
            }
        }
        let run = |(first, last): (u16, u16)| match first == last {
            true => format!("p{first:02}"),
            false => format!("p{first:02}-p{last:02}"),
        };
        runs.into_iter().map(run).collect()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u16> for Partitions {
    fn from_iter<I: IntoIterator<Item = u16>>(partitions: I) -> Self {
        Self(partitions.into_iter().collect())
    }
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

    /// How many partitions people are spread over (see [`partition_of`]); fixed when the bus was made.
    fn partitions(&self) -> u16;

    /// Starts to consume these partitions, with at most `credit` deliveries unacknowledged.
    async fn subscribe(&self, partitions: &Partitions, credit: usize) -> Result<Box<dyn Subscription>, BusError>;

    /// Events published and not yet acknowledged.
    async fn depth(&self) -> Result<u64, BusError>;

    /// Waits until everything that was published for `user` before this call is settled: applied for good, or kept aside.
    async fn settled(&self, user: &UserId) -> Result<(), BusError>;

    /// Why the bus does not do its work now, where that is so; for people on call.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// What was kept aside, where this bus lets it be looked at here.
    fn kept_aside(&self) -> Option<&dyn Quarantine> {
        None
    }
}

/// Where events come out: at least once, first deliveries of one user in the order of publication.
#[async_trait]
pub trait Subscription: Send {
    /// The next deliveries, at least one and at most `max`; waits for credit and for events. Empty: the bus was closed. Safe to
    /// cancel: a call that is dropped before it returns has taken nothing.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError>;

    /// Takes a partition on: its events come from now on, as soon as no other consumer has it. One that is held already stays held.
    async fn hold(&mut self, partition: u16) -> Result<(), BusError>;

    /// Lets a partition go: [`Subscription::next`] gives nothing more of it. What it gave before is still to be settled; once it is,
    /// another consumer gets the partition, and what was given back or never given with it.
    async fn release(&mut self, partition: u16) -> Result<(), BusError>;

    /// Settles deliveries whose effects are durable. They do not come again.
    async fn ack(&mut self, tags: &[u64]) -> Result<(), BusError>;

    /// Gives deliveries back, to be delivered again.
    async fn nack(&mut self, tags: &[u64]) -> Result<(), BusError>;

    /// Settles a delivery that can never be applied: it is kept aside with the reason.
    async fn quarantine(&mut self, tag: u64, reason: &str) -> Result<(), BusError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_in_runs() {
        let ranges = |partitions: &[u16]| partitions.iter().copied().collect::<Partitions>().ranges().join(" ");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7]), "p07");
        assert_eq!(ranges(&[3, 0, 1, 2, 5, 40, 41, 4095]), "p00-p03 p05 p40-p41 p4095");
        assert_eq!(Partitions::all(64).ranges(), ["p00-p63"]);
    }
}
