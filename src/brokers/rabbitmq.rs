//! The event bus on RabbitMQ: any number of nodes, and producers elsewhere.
//!
//! # Topology (`NAME` is `bus.rabbitmq.name`, `P` is `bus.partitions`)
//!
//! | exchange | routing key | queue |
//! |---|---|---|
//! | `NAME.events`, topic | `pNN` | `NAME.events.pNN`: quorum, single active consumer, bounded (a full one refuses), dead letters to `NAME.quarantine` |
//! | `NAME.quarantine`, topic | any | `NAME.quarantine`: quorum; what can never be applied, with the headers `x-foryou-reason`, `x-foryou-partition`, `x-foryou-deliveries`, `x-foryou-at` |
//! | `NAME.catalogue`, fanout | any | `NAME.catalogue`: a stream, which every node reads from end to end |
//!
//! # Producers elsewhere
//!
//! They publish one event as JSON (with an `id`: what comes twice is applied once) to the exchange `NAME.events` with the routing
//! key of the person's partition: `p`, then FNV-1a (64 bit) of the user id's UTF-8 bytes modulo `P`, with two digits at least.
//! All events of a person thus lie in one queue, in the order in which they were published; no node has to forward them, and
//! none can change their order. `P` never changes once the queues are there.
//!
//! ```python
//! def routing_key(user: str, partitions: int = 64) -> str:
//!     h = 0xCBF29CE484222325
//!     for byte in user.encode():
//!         h = (h ^ byte) * 0x100000001B3 % 2**64
//!     return f"p{h % partitions:02}"
//! ```
//!
//! ```js
//! function routingKey(user, partitions = 64) {
//!   let h = 0xcbf29ce484222325n;
//!   for (const byte of new TextEncoder().encode(user)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
//!   return "p" + (h % BigInt(partitions)).toString().padStart(2, "0");
//! }
//! ```
//!
//! To check an implementation: of 64 partitions `ann` is in `p56`, `zoë` in `p28`, `用户` in `p57`; of 128, `u1` is in `p115`. A producer turns publisher confirms on, sets `mandatory` and
//! `delivery_mode` 2 (persistent), and keeps an event until it is confirmed: a returned message had a routing key that no queue has, a nack
//! means that the partition is full (wait, then publish the same event with the same id again, and those behind it). An event under
//! another partition's key is not applied: it goes to quarantine and says so.

mod aside;
#[cfg(test)]
mod asyncapi;
mod barriers;
mod catalogue;
mod hand;
mod link;
mod publisher;
mod reader;
mod subscription;
mod topology;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use foryou_actors::{
    complaint::{Complaint, Trouble},
    ports::bus::{BusError, EventBus, Partitions, Subscription, partition_of},
};
use foryou_schemas::{Event, UserId};
use futures_util::future::try_join_all;
use lapin::{
    BasicProperties, Channel, Queue,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use parking_lot::Mutex;
use tokio::{runtime::Handle, task::JoinSet};

pub use self::aside::{Aside, PutAside};
use self::{
    barriers::Barriers,
    link::{Address, Link, describe},
    publisher::Publisher,
    subscription::RabbitSubscription,
    topology::Topology,
};
use crate::config;

/// The header of a message that is no event: it tells its sender that everything before it is settled.
const BARRIER: &str = "x-foryou-barrier";
/// The header that says which node announced a change of the catalogue.
const NODE: &str = "x-foryou-node";

/// Declares what is missing at the broker: exchanges, queues, bindings. What is there is left as it is; where it is not as the
/// configuration asks, the error says what differs and what to do.
pub async fn declare(bus: &config::Bus) -> Result<(), BusError> {
    let address = Address::new(&bus.rabbitmq)?;
    let link = address.connect("migrate").await?;
    let declared = Topology::new(bus).declare(&address, &link).await;
    link.close(address.timeout).await;
    declared
}

/// An event bus at a RabbitMQ broker.
///
/// Three kinds of connections: one that publishes (the broker blocks such a connection as a whole when it runs short of memory), one
/// for each subscription, one that asks for the state of the queues. Every wait for the broker has a bound. The publishing
/// connection is opened again when it was lost; a subscription that fails is to be replaced by its user. lapin's own recovery is
/// off: killing the broker again and again has left it spinning without a connection.
pub struct RabbitBus {
    shared: Arc<Shared>,
    control: tokio::sync::Mutex<Option<Control>>,
    /// The node's name, in what it announces.
    node: String,
}

struct Shared {
    address: Address,
    topology: Topology,
    publisher: Publisher,
    barriers: Barriers,
    delivery_limit: u32,
    /// Deliveries that came and are not settled.
    in_hand: AtomicU64,
    /// Of queues that cannot be consumed.
    unconsumed: Complaint,
    /// A queue is not there, or not for us.
    queues: Trouble,
    /// Connections that are being closed.
    closing: Mutex<JoinSet<()>>,
    runtime: Handle,
}

/// A connection that asks questions.
struct Control {
    _link: Link,
    channel: Channel,
}

impl Control {
    async fn open(address: &Address) -> Result<Self, BusError> {
        let link = address.connect("control").await?;
        let channel = address.within("to open a channel", link.connection.create_channel()).await?;
        Ok(Self { _link: link, channel })
    }
}

impl RabbitBus {
    /// Connects, and sees to it that everything is declared as `bus` asks; else the error says what to do. `node` names this node to
    /// the others.
    pub async fn connect(bus: &config::Bus, node: &str) -> Result<Self, BusError> {
        let address = Address::new(&bus.rabbitmq)?;
        let topology = Topology::new(bus);
        let control = Control::open(&address).await?;
        topology.check(&address, &control._link).await?;
        let publisher =
            Publisher::start(address.clone(), topology.exchanges().into(), bus.rabbitmq.buffer.count()).await?;
        let shared = Shared {
            address,
            topology,
            publisher,
            barriers: Barriers::default(),
            delivery_limit: bus.rabbitmq.delivery_limit.get(),
            in_hand: AtomicU64::new(0),
            unconsumed: Complaint::default(),
            queues: Trouble::default(),
            closing: Mutex::default(),
            runtime: Handle::current(),
        };
        Ok(Self { shared: Arc::new(shared), control: tokio::sync::Mutex::new(Some(control)), node: node.to_owned() })
    }

    /// Asks the broker for queues: each has its count of messages and of consumers.
    async fn ask(&self, queues: impl Iterator<Item = ShortString>) -> Result<Vec<Queue>, BusError> {
        let mut slot = self.control.lock().await;
        // After a failure, or when we are dropped meanwhile, the next one connects again.
        let control = match slot.take() {
            Some(control) => control,
            None => Control::open(&self.shared.address).await?,
        };
        let asked = queues.map(|queue| {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            control.channel.queue_declare(queue, passive, FieldTable::default())
        });
        let answer = async {
            let answer = try_join_all(asked).await;
            if let Err(error) = &answer
                && link::refused_alone(error)
            {
                self.shared.queues.begin(describe(error));
            }
            answer
        };
        let queues = self.shared.address.within("for its queues", answer).await?;
        *slot = Some(control);
        Ok(queues)
    }

    fn queue(&self, partition: u16) -> ShortString {
        self.shared.topology.queue(partition).into()
    }
}

impl Shared {
    /// Closes a connection in order, in the background.
    fn close(&self, link: Link) {
        let mut closing = self.closing.lock();
        while closing.try_join_next().is_some() {}
        closing.spawn_on(link.close(self.address.timeout), &self.runtime);
    }

    fn message(&self, partition: u16, payload: Vec<u8>, properties: BasicProperties) -> publisher::Message {
        let (exchange, routing_key) = (self.topology.events(), routing_key(partition).into());
        publisher::Message { exchange, routing_key, properties, payload }
    }
}

#[async_trait]
impl EventBus for RabbitBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        if events.is_empty() {
            return Ok(());
        }
        let encode = |event: &Event| match serde_json::to_vec(event) {
            Ok(payload) => {
                let properties = persistent().with_message_id(event.id.as_str().into());
                Ok(self.shared.message(partition_of(&event.user, self.partitions()), payload, properties))
            }
            Err(e) => Err(BusError::Away(format!("event {:?} does not encode: {e}", event.id))),
        };
        self.shared.publisher.publish(events.iter().map(encode).collect::<Result<_, _>>()?).await
    }

    fn partitions(&self) -> u16 {
        self.shared.topology.partitions
    }

    async fn subscribe(&self, partitions: &Partitions, credit: usize) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(RabbitSubscription::open(self.shared.clone(), partitions, credit).await?))
    }

    /// Those in the queues and those that came here; what is on its way from the broker at this moment is not counted.
    async fn depth(&self) -> Result<u64, BusError> {
        let topology = &self.shared.topology;
        let others = [topology.quarantine(), topology.catalogue()];
        let partitions = (0..self.partitions()).map(|partition| self.queue(partition));
        let queues = self.ask(partitions.chain(others)).await?;
        self.shared.queues.end();
        let partitions = queues.iter().take(usize::from(self.partitions()));
        let ready: u64 = partitions.map(|queue| u64::from(queue.message_count())).sum();
        Ok(ready + self.shared.in_hand.load(Ordering::Relaxed))
    }

    /// For the node that consumes the person's partition; elsewhere it does not return before that is so.
    async fn settled(&self, user: &UserId) -> Result<(), BusError> {
        let partition = partition_of(user, self.partitions());
        let queues = self.ask([self.queue(partition)].into_iter()).await?;
        if queues.iter().all(|queue| (queue.message_count(), queue.consumer_count()) == (0, 0)) {
            // Nothing waits, and nobody has anything.
            return Ok(());
        }
        let (id, told) = self.shared.barriers.raise(partition);
        let mut headers = FieldTable::default();
        headers.insert(BARRIER.into(), AMQPValue::LongString(id.into()));
        let barrier = self.shared.message(partition, Vec::new(), persistent().with_headers(headers));
        self.shared.publisher.publish(vec![barrier]).await?;
        told.wait().await
    }

    fn trouble(&self) -> Option<String> {
        self.shared.publisher.trouble().or_else(|| self.shared.queues.lasting())
    }
}

/// The routing key of a partition, which also ends its queue's name.
pub fn routing_key(partition: u16) -> String {
    format!("p{partition:02}")
}

/// Properties of a JSON message that outlives the broker's process.
fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into())
}

#[cfg(test)]
pub(crate) mod tests;
