//! What waits in the quarantine's queue: put there by a node with the reason, or by the broker itself.

use foryou_actors::ports::bus::{BusError, partition_of};
use foryou_schemas::{Timestamp, UserId};
use lapin::{
    message::Delivery,
    types::{AMQPValue, FieldTable},
};

use super::{RabbitBus, persistent, reader::Reader, subscription::integer};

/// An event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutAside {
    /// When.
    pub at: Timestamp,
    /// The partition it came through.
    pub partition: u16,
    /// How often it had been delivered before.
    pub redelivered: u32,
    /// Why it cannot be applied.
    pub reason: String,
    /// The event as it was published.
    pub payload: Vec<u8>,
}

/// Reads what was put aside. Dropped, it gives back what was not settled; any number may read at a time, each gets a share.
pub struct Aside {
    reader: Reader,
    last: Option<u64>,
    delivery_limit: u32,
}

impl Aside {
    /// The next events, at least one; waits for them. Safe to cancel.
    pub async fn next(&mut self) -> Result<Vec<PutAside>, BusError> {
        let deliveries = self.reader.next().await?;
        self.last = deliveries.last().map(|delivery| delivery.delivery_tag).or(self.last);
        Ok(deliveries.into_iter().map(|delivery| put_aside(delivery, self.delivery_limit)).collect())
    }

    /// Settles everything that was given out: it is kept elsewhere.
    pub async fn settle(&mut self) -> Result<(), BusError> {
        match self.last.take() {
            Some(last) => self.reader.ack(last).await,
            None => Ok(()),
        }
    }
}

impl RabbitBus {
    /// Starts to read what was put aside.
    pub async fn aside(&self) -> Result<Aside, BusError> {
        let shared = &self.shared;
        let queue = shared.topology.quarantine();
        let reader = Reader::open(&shared.address, "quarantine", queue, FieldTable::default()).await?;
        Ok(Aside { reader, last: None, delivery_limit: shared.delivery_limit })
    }

    /// Publishes an event as it once came: to the partition of its person, or where it says none, to the one that it came through.
    pub async fn publish_again(&self, user: Option<&UserId>, partition: u16, payload: Vec<u8>) -> Result<(), BusError> {
        let count = self.shared.topology.partitions;
        let partition = user.map_or(partition % count, |user| partition_of(user, count));
        self.shared.publisher.publish(vec![self.shared.message(partition, payload, persistent())]).await
    }
}

fn put_aside(delivery: Delivery, delivery_limit: u32) -> PutAside {
    let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
    let header = |name: &str| headers.and_then(|headers| headers.get(name));
    // What the broker says of a message that it put aside by itself.
    let death = header("x-death").and_then(|deaths| match deaths {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first() {
            Some(AMQPValue::FieldTable(death)) => Some(death.inner()),
            _ => None,
        },
        _ => None,
    });
    let died_at = death.and_then(|death| match death.get("time")? {
        AMQPValue::Timestamp(seconds) => Timestamp::from_millis(i64::try_from(*seconds).ok()?.checked_mul(1_000)?),
        _ => None,
    });
    let routed = || {
        let key = delivery.routing_key.as_str().trim_start_matches('p');
        key.split('/').next().and_then(|partition| partition.parse().ok()).unwrap_or(0)
    };
    let reason = header("x-foryou-reason").and_then(text).unwrap_or_else(|| {
        match death.and_then(|death| death.get("reason")).and_then(text).as_deref() {
            Some("delivery_limit") => format!(
                "it was delivered {} times and never settled; look at the log for what happens to whoever applies it",
                delivery_limit + 1
            ),
            Some(other) => format!("the broker put it aside: {other}"),
            None => "nobody said why it is here".into(),
        }
    });
    let told = header("x-foryou-at").and_then(text).and_then(|at| Timestamp::parse(&at).ok());
    let delivered = header("x-foryou-deliveries").and_then(integer);
    PutAside {
        at: told.or(died_at).unwrap_or_else(Timestamp::now),
        partition: header("x-foryou-partition")
            .and_then(integer)
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or_else(routed),
        redelivered: delivered
            .map_or(if death.is_some() { delivery_limit } else { 0 }, |times| times.saturating_sub(1)),
        reason,
        payload: delivery.data,
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
