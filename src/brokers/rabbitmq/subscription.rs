//! Where events come out of the broker: a connection of its own, and on it a channel for each partition that is held.
//!
//! The broker gives a partition's queue to one consumer at a time, and goes on to the next one when the channel of the former is
//! closed. Cancelling the consumer is not enough: the next one then gets fresh events while older ones are still open here. So a
//! partition that is released keeps its channel, of which nothing more is handed out, until the last delivery that was handed
//! out is settled. What was given back meanwhile, and what was never handed out, goes back when the channel closes, in order.

mod opening;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use foryou_actors::{
    backoff::Backoff,
    ports::bus::{BusError, Delivery, Partitions, Subscription},
};
use foryou_schemas::Timestamp;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture, join_all},
    stream::{self, BoxStream, SelectAll},
};
use lapin::{
    Channel, Consumer, Event,
    options::{BasicAckOptions, BasicNackOptions},
    types::{AMQPValue, FieldTable},
};

use self::opening::Opening;
use super::{
    BARRIER, Shared,
    hand::{Acks, Hand, Message},
    link::{Link, describe, refused_alone},
    persistent, publisher, routing_key,
};

/// The most that is taken out of lapin at once.
const GULP: usize = 1_024;
/// Between attempts to consume what could not be: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// A consumer. Dropped, it gives back what it has not settled.
pub struct RabbitSubscription {
    shared: Arc<Shared>,
    link: Option<Arc<Link>>,
    /// What the broker says, of all channels.
    items: SelectAll<BoxStream<'static, Item>>,
    lanes: HashMap<LaneId, Lane>,
    held: HashMap<u16, LaneId>,
    /// Held, and not consumed: why.
    missing: BTreeMap<u16, String>,
    /// The next attempt to consume some of them.
    again: Option<BoxFuture<'static, Vec<(u16, Opening)>>>,
    backoff: Backoff,
    last_lane: LaneId,
    /// Came, and not handed out.
    waiting: VecDeque<(LaneId, u64)>,
    /// Handed out and not settled, by our tag.
    out: HashMap<u64, (LaneId, u64)>,
    last_tag: u64,
    credit: usize,
    /// Barriers that came, to be acknowledged.
    met: Vec<(LaneId, u64)>,
    /// What is counted of this one in `Shared::in_hand`.
    counted: usize,
    /// Why it is of no use any more.
    broken: Option<String>,
}

type LaneId = u64;

/// One channel with one consumer.
struct Lane {
    partition: u16,
    channel: Channel,
    hand: Hand,
    /// Handed out and not settled.
    out: usize,
    releasing: bool,
}

enum Item {
    Came(LaneId, lapin::Result<lapin::message::Delivery>),
    /// No more deliveries on this lane.
    Ended(LaneId),
    Connection(Event),
}

impl RabbitSubscription {
    pub async fn open(shared: Arc<Shared>, partitions: &Partitions, credit: usize) -> Result<Self, BusError> {
        let link = Arc::new(shared.address.connect("consumer").await?);
        let events = link.connection.events_listener().map(Item::Connection).boxed();
        let mut subscription = Self {
            shared,
            link: Some(link),
            items: SelectAll::from_iter([events]),
            lanes: HashMap::new(),
            held: HashMap::new(),
            missing: BTreeMap::new(),
            again: None,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
            last_lane: 0,
            waiting: VecDeque::new(),
            out: HashMap::new(),
            last_tag: 0,
            credit,
            met: Vec::new(),
            counted: 0,
            broken: None,
        };
        let opening = partitions.iter().filter_map(|partition| subscription.opening(partition));
        for (partition, opened) in join_all(opening).await {
            subscription.opened(partition, opened)?;
        }
        match subscription.missing.first_key_value() {
            Some((_, reason)) if subscription.held.is_empty() => Err(BusError::Away(reason.clone())),
            _ => {
                subscription.tell();
                Ok(subscription)
            }
        }
    }

    fn add(&mut self, partition: u16, channel: Channel, consumer: Consumer) {
        self.last_lane += 1;
        let id = self.last_lane;
        let hand = Hand::new(self.shared.delivery_limit);
        let lane = Lane { partition, channel, hand, out: 0, releasing: false };
        self.lanes.insert(id, lane);
        self.held.insert(partition, id);
        let came = consumer.map(move |delivery| Item::Came(id, delivery));
        self.items.push(came.chain(stream::once(async move { Item::Ended(id) })).boxed());
    }

    /// Takes note of what the broker said.
    fn note(&mut self, item: Item) -> Result<(), BusError> {
        let broken = match item {
            Item::Came(lane, Ok(delivery)) => {
                self.came(lane, delivery);
                return Ok(());
            }
            // An attempt to consume a queue failed, which is told where it was made.
            Item::Connection(Event::Error(error)) if refused_alone(&error) => return Ok(()),
            Item::Came(_, Err(error)) | Item::Connection(Event::Error(error)) => {
                format!("RabbitMQ is lost: {}", describe(&error))
            }
            Item::Ended(lane) => {
                if let Some(partition) = self.lanes.get(&lane).filter(|lane| !lane.releasing).map(|lane| lane.partition)
                {
                    self.let_go(partition);
                    let queue = self.shared.topology.queue(partition);
                    let reason = format!(
                        "RabbitMQ ended the consumer of queue {queue}; if the queue was deleted, `foryou migrate` declares it again"
                    );
                    self.missing.insert(partition, reason);
                    self.tell();
                }
                return Ok(());
            }
            Item::Connection(_) => return Ok(()),
        };
        Err(self.broken(broken))
    }

    fn usable(&self) -> Result<(), BusError> {
        self.broken.clone().map_or(Ok(()), |reason| Err(BusError::Away(reason)))
    }

    fn broken(&mut self, reason: String) -> BusError {
        BusError::Away(self.broken.get_or_insert(reason).clone())
    }

    fn came(&mut self, id: LaneId, delivery: lapin::message::Delivery) {
        let Some(lane) = self.lanes.get_mut(&id).filter(|lane| !lane.releasing) else { return };
        let headers = delivery.properties.headers().as_ref();
        let before = headers.and_then(|headers| integer(headers.inner().get("x-delivery-count")?));
        let redelivered = before.unwrap_or(u32::from(delivery.redelivered));
        let barrier = headers.and_then(|headers| match headers.inner().get(BARRIER)? {
            AMQPValue::LongString(id) => Some(id.to_string()),
            _ => None,
        });
        if let Some(barrier) = barrier {
            if let Some(passed) = self.shared.barriers.take(&barrier) {
                lane.hand.barrier(passed);
            }
            self.met.push((id, delivery.delivery_tag));
        } else {
            self.waiting.push_back((id, delivery.delivery_tag));
        }
        lane.hand.arrived(delivery.delivery_tag, Message { redelivered, payload: delivery.data });
    }

    /// Up to `max` deliveries, as far as the credit goes.
    fn hand_out(&mut self, max: usize) -> Vec<Delivery> {
        let count = max.min(self.credit.saturating_sub(self.out.len())).min(self.waiting.len());
        let mut deliveries = Vec::with_capacity(count);
        for (id, tag) in self.waiting.drain(..count) {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let Some(message) = lane.hand.get(tag) else { continue };
            self.last_tag += 1;
            deliveries.push(Delivery {
                tag: self.last_tag,
                partition: lane.partition,
                redelivered: message.redelivered,
                payload: message.payload.clone(),
            });
            lane.out += 1;
            self.out.insert(self.last_tag, (id, tag));
        }
        deliveries
    }

    /// Nothing more of a partition is handed out.
    fn let_go(&mut self, partition: u16) {
        self.shared.barriers.moved(partition);
        let Some(id) = self.held.remove(&partition) else { return };
        self.waiting.retain(|(lane, _)| *lane != id);
        self.met.retain(|(lane, _)| *lane != id);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.releasing = true;
            lane.hand.drop_barriers();
        }
    }

    /// Tells the bus how much is here.
    fn count(&mut self) {
        let now = self.out.len() + self.waiting.len();
        self.shared.in_hand.fetch_add(now as u64, Ordering::Relaxed);
        self.shared.in_hand.fetch_sub(self.counted as u64, Ordering::Relaxed);
        self.counted = now;
    }

    /// The lanes and their tags of what was handed out under `tags`; it is not out any more.
    fn put_down(&mut self, tags: &[u64]) -> HashMap<LaneId, Vec<u64>> {
        let mut by_lane: HashMap<LaneId, Vec<u64>> = HashMap::new();
        for (id, tag) in tags.iter().filter_map(|tag| self.out.remove(tag)) {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.out -= 1;
            }
            by_lane.entry(id).or_default().push(tag);
        }
        by_lane
    }

    /// Settles deliveries at the broker.
    async fn settle(&mut self, by_lane: HashMap<LaneId, Vec<u64>>) -> Result<(), BusError> {
        let mut sent: Vec<Sending> = Vec::new();
        for (id, tags) in by_lane {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let Acks { up_to, single } = lane.hand.settle(&tags);
            let acks = up_to.map(|tag| (tag, true)).into_iter().chain(single.into_iter().map(|tag| (tag, false)));
            for (tag, multiple) in acks {
                let channel = lane.channel.clone();
                sent.push(async move { channel.basic_ack(tag, BasicAckOptions { multiple }).await }.boxed());
            }
        }
        self.send(sent, "to take acknowledgements").await
    }

    /// Sends messages that nobody answers, in order; then closes what is done with.
    async fn send(&mut self, messages: Vec<Sending>, what: &str) -> Result<(), BusError> {
        self.count();
        self.usable()?;
        let (mut failed, mut writing) = (Ok(()), Vec::new());
        for mut message in messages {
            // The first poll puts it into lapin's queue: from there on it does not matter whether we are dropped.
            match (&mut message).now_or_never() {
                Some(sent) => failed = failed.and(sent),
                None => writing.push(message),
            }
        }
        let written = async { join_all(writing).await.into_iter().fold(failed, |all, sent| all.and(sent)) };
        if let Err(error) = self.shared.address.within(what, written).await {
            return Err(self.broken(reason(error)));
        }
        self.close_released().await
    }

    /// Closes the channels of released partitions of which nothing is out any more.
    async fn close_released(&mut self) -> Result<(), BusError> {
        let done: Vec<LaneId> =
            self.lanes.iter().filter(|(_, lane)| lane.releasing && lane.out == 0).map(|(id, _)| *id).collect();
        for id in done {
            if let Some(lane) = self.lanes.remove(&id) {
                let closing = lane.channel.close(200, "OK".into());
                if let Err(error) = self.shared.address.within("to close a channel", closing).await {
                    return Err(self.broken(reason(error)));
                }
            }
        }
        Ok(())
    }
}

type Sending = Pin<Box<dyn Future<Output = lapin::Result<()>> + Send>>;

#[async_trait]
impl Subscription for RabbitSubscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            self.usable()?;
            for _ in 0..GULP {
                let Some(Some(item)) = self.items.next().now_or_never() else { break };
                self.note(item)?;
            }
            if !self.met.is_empty() {
                let mut by_lane: HashMap<LaneId, Vec<u64>> = HashMap::new();
                self.met.drain(..).for_each(|(lane, tag)| by_lane.entry(lane).or_default().push(tag));
                self.settle(by_lane).await?;
            }
            self.try_missing().await?;
            let deliveries = self.hand_out(max);
            self.count();
            if !deliveries.is_empty() || max == 0 {
                return Ok(deliveries);
            }
            tokio::select! {
                item = self.items.next() => match item {
                    Some(item) => self.note(item)?,
                    None => return Err(self.broken("the connection ended".into())),
                },
                Some(opened) = OptionFuture::from(self.again.as_mut()) => self.tried(opened)?,
            }
        }
    }

    async fn hold(&mut self, partition: u16) -> Result<(), BusError> {
        if !self.held.contains_key(&partition)
            && !self.missing.contains_key(&partition)
            && let Some(opening) = self.opening(partition)
        {
            let (partition, opened) = opening.await;
            self.opened(partition, opened)?;
            self.tell();
        }
        Ok(())
    }

    async fn release(&mut self, partition: u16) -> Result<(), BusError> {
        self.missing.remove(&partition);
        self.let_go(partition);
        self.count();
        self.close_released().await
    }

    async fn ack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        let by_lane = self.put_down(tags);
        self.settle(by_lane).await
    }

    async fn nack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        let mut sent: Vec<Sending> = Vec::new();
        for (id, tags) in self.put_down(tags) {
            // Of a partition that is let go, it goes back when the channel closes.
            let Some(lane) = self.lanes.get_mut(&id).filter(|lane| !lane.releasing) else { continue };
            for tag in lane.hand.give_back(&tags) {
                let channel = lane.channel.clone();
                let again = BasicNackOptions { multiple: false, requeue: true };
                sent.push(async move { channel.basic_nack(tag, again).await }.boxed());
            }
        }
        self.send(sent, "to take events back").await
    }

    async fn quarantine(&mut self, tag: u64, reason: &str) -> Result<(), BusError> {
        self.usable()?;
        let Some((lane, message)) = self.out.get(&tag).and_then(|(id, tag)| {
            let lane = self.lanes.get(id)?;
            Some((lane, lane.hand.get(*tag)?))
        }) else {
            return Ok(());
        };
        let mut headers = FieldTable::default();
        headers.insert("x-foryou-reason".into(), AMQPValue::LongString(reason.into()));
        headers.insert("x-foryou-partition".into(), AMQPValue::LongInt(lane.partition.into()));
        headers.insert("x-foryou-deliveries".into(), AMQPValue::LongLongInt(i64::from(message.redelivered) + 1));
        headers.insert("x-foryou-at".into(), AMQPValue::LongString(Timestamp::now().to_string().into()));
        let aside = publisher::Message {
            exchange: self.shared.topology.quarantine(),
            routing_key: routing_key(lane.partition).into(),
            properties: persistent().with_headers(headers),
            payload: message.payload.clone(),
        };
        self.shared.publisher.publish(vec![aside]).await?;
        self.ack(&[tag]).await
    }
}

impl Drop for RabbitSubscription {
    fn drop(&mut self) {
        self.shared.in_hand.fetch_sub(self.counted as u64, Ordering::Relaxed);
        // It has the link, too.
        self.again = None;
        if let Some(link) = self.link.take().and_then(Arc::into_inner) {
            self.shared.close(link);
        }
    }
}

fn reason(error: BusError) -> String {
    match error {
        BusError::Away(reason) => reason,
        full @ BusError::Full { .. } => full.to_string(),
    }
}

pub fn integer(value: &AMQPValue) -> Option<u32> {
    let number = match value {
        AMQPValue::ShortShortInt(n) => i64::from(*n),
        AMQPValue::ShortShortUInt(n) => i64::from(*n),
        AMQPValue::ShortInt(n) => i64::from(*n),
        AMQPValue::ShortUInt(n) => i64::from(*n),
        AMQPValue::LongInt(n) => i64::from(*n),
        AMQPValue::LongUInt(n) => i64::from(*n),
        AMQPValue::LongLongInt(n) => *n,
        _ => return None,
    };
    u32::try_from(number).ok()
}
