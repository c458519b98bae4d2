//! The exchanges and queues of a bus: how they are declared, and whether they are as the configuration asks.

use foryou_actors::ports::bus::BusError;
use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    link::{Address, Link},
    routing_key,
};
use crate::config;

/// Events in quarantine; the oldest ones make room.
const QUARANTINED: i64 = 1_000_000;
/// Of the stream of catalogue changes; the oldest segment goes when there is more, or when it is older.
const CATALOGUE_BYTES: i64 = 2_000_000_000;
const CATALOGUE_AGE: &str = "7D";
const CATALOGUE_SEGMENT_BYTES: i64 = 100_000_000;

/// What is declared at the broker.
#[derive(Debug, Clone)]
pub struct Topology {
    name: String,
    pub partitions: u16,
    max_depth: usize,
    delivery_limit: u32,
    replicas: u32,
}

/// A queue with its arguments and the exchange that fills it.
struct Declared {
    queue: String,
    arguments: Vec<(&'static str, AMQPValue)>,
    exchange: String,
    routing_key: String,
}

impl Topology {
    pub fn new(bus: &config::Bus) -> Self {
        Self {
            name: bus.rabbitmq.name.clone(),
            partitions: bus.partitions.get() as u16,
            max_depth: bus.max_depth.count(),
            delivery_limit: bus.rabbitmq.delivery_limit.get(),
            replicas: bus.rabbitmq.replicas.get(),
        }
    }

    pub fn events(&self) -> ShortString {
        format!("{}.events", self.name).into()
    }

    pub fn queue(&self, partition: u16) -> String {
        format!("{}.events.{}", self.name, routing_key(partition))
    }

    /// Both an exchange and a queue.
    pub fn quarantine(&self) -> ShortString {
        format!("{}.quarantine", self.name).into()
    }

    /// Both an exchange and a stream.
    pub fn catalogue(&self) -> ShortString {
        format!("{}.catalogue", self.name).into()
    }

    /// How many events one partition takes: twice its share, since people are not spread evenly.
    fn partition_depth(&self) -> i64 {
        (2 * self.max_depth).div_ceil(usize::from(self.partitions)) as i64
    }

    pub fn exchanges(&self) -> [(ShortString, ExchangeKind); 3] {
        [
            (self.events(), ExchangeKind::Topic),
            (self.quarantine(), ExchangeKind::Topic),
            (self.catalogue(), ExchangeKind::Fanout),
        ]
    }

    fn queues(&self) -> impl Iterator<Item = Declared> {
        let (quarantine, catalogue) = (self.quarantine().to_string(), self.catalogue().to_string());
        let aside = Declared {
            queue: quarantine.clone(),
            arguments: vec![
                ("x-queue-type", text("quorum")),
                ("x-quorum-initial-group-size", number(self.replicas)),
                ("x-max-length", number(QUARANTINED)),
                ("x-overflow", text("drop-head")),
            ],
            exchange: quarantine,
            routing_key: "#".into(),
        };
        let changes = Declared {
            queue: catalogue.clone(),
            arguments: vec![
                ("x-queue-type", text("stream")),
                ("x-initial-cluster-size", number(self.replicas)),
                ("x-max-length-bytes", number(CATALOGUE_BYTES)),
                ("x-max-age", text(CATALOGUE_AGE)),
                ("x-stream-max-segment-size-bytes", number(CATALOGUE_SEGMENT_BYTES)),
            ],
            exchange: catalogue,
            routing_key: String::new(),
        };
        (0..self.partitions).map(|partition| self.partition(partition)).chain([aside, changes])
    }

    fn partition(&self, partition: u16) -> Declared {
        let key = routing_key(partition);
        Declared {
            queue: self.queue(partition),
            arguments: vec![
                // First, because it is the most important to agree on: it says of how many partitions this is one.
                ("x-dead-letter-routing-key", text(&format!("{key}/{}", self.partitions))),
                ("x-dead-letter-exchange", text(self.quarantine().as_str())),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-queue-type", text("quorum")),
                ("x-quorum-initial-group-size", number(self.replicas)),
                ("x-single-active-consumer", AMQPValue::Boolean(true)),
                ("x-max-length", number(self.partition_depth())),
                ("x-overflow", text("reject-publish")),
                ("x-delivery-limit", number(self.delivery_limit)),
            ],
            exchange: self.events().to_string(),
            routing_key: key,
        }
    }

    /// Declares what is missing, after a look at whether what is there agrees.
    pub async fn declare(&self, address: &Address, link: &Link) -> Result<(), BusError> {
        let channel = address.within("to open a channel", link.connection.create_channel()).await?;
        // A bus with another number of partitions is found out before anything is made.
        let first = self.partition(0);
        if self.is_there(address, link, &first.queue).await? {
            self.compare(address, &channel, first).await?;
        }
        for (exchange, kind) in self.exchanges() {
            let what = format!("to declare exchange {exchange}");
            let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
            address.within(&what, channel.exchange_declare(exchange, kind, durable, FieldTable::default())).await?;
        }
        // The first partition last: when it is there, all of them were.
        let mut queues: Vec<Declared> = self.queues().collect();
        queues.reverse();
        for declared in queues {
            let (queue, exchange) = (declared.queue.clone(), declared.exchange.clone());
            let (key, what) = (declared.routing_key.clone(), format!("to bind queue {queue} to exchange {exchange}"));
            self.compare(address, &channel, declared).await?;
            let bound = channel.queue_bind(
                queue.into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            address.within(&what, bound).await?;
        }
        Ok(())
    }

    /// Whether everything is there, and as the configuration asks. The error says what is not, and what to do.
    pub async fn check(&self, address: &Address, link: &Link) -> Result<(), BusError> {
        let channel = address.within("to open a channel", link.connection.create_channel()).await?;
        for (exchange, kind) in self.exchanges() {
            let what = format!("for exchange {exchange}");
            let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
            address.within(&what, channel.exchange_declare(exchange, kind, passive, FieldTable::default())).await?;
        }
        for declared in self.queues() {
            let passive = QueueDeclareOptions { passive: true, ..Default::default() };
            let asked = channel.queue_declare((&*declared.queue).into(), passive, FieldTable::default());
            address.within("for its queues", asked).await?;
            // It is there, so this does not make it: it compares the arguments.
            self.compare(address, &channel, declared).await?;
        }
        Ok(())
    }

    /// Declares a queue: makes it, or fails where there is one with other arguments.
    async fn compare(&self, address: &Address, channel: &Channel, declared: Declared) -> Result<(), BusError> {
        let mut arguments = FieldTable::default();
        for (name, value) in declared.arguments {
            arguments.insert(name.into(), value);
        }
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let what = format!("to declare queue {}", declared.queue);
        let declaring = channel.queue_declare((&*declared.queue).into(), durable, arguments);
        let Ok(answer) = tokio::time::timeout(address.timeout, declaring).await else {
            return Err(address.silence(&what));
        };
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(refused)
                    if matches!(refused.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) =>
                {
                    Err(BusError::Away(self.difference(&declared.queue, refused.get_message().as_str())))
                }
                _ => address.within(&what, std::future::ready(Err(error))).await,
            },
        }
    }

    /// Explains `PRECONDITION_FAILED - inequivalent arg 'NAME' for queue ..: received 'OURS' but current is 'THEIRS'`; either may be
    /// absent, or stand with its type.
    fn difference(&self, queue: &str, message: &str) -> String {
        let argument = message.split('\'').nth(1).unwrap_or_default();
        let values = message.rsplit_once(": received ").and_then(|(_, values)| values.split_once(" but current is "));
        let Some((ours, theirs)) = values else { return format!("queue {queue}: {message}") };
        let value = |text: &str| text.split('\'').nth(1).unwrap_or("none").to_owned();
        let (ours, theirs) = (value(ours), value(theirs));
        if argument == "x-dead-letter-routing-key"
            && let Some((_, partitions)) = theirs.split_once('/')
        {
            return format!(
                "queue {queue} is of a bus of {partitions} partitions, and bus.partitions is {}; the number is fixed when the bus \
                 is made: set it back, or give the new bus another bus.rabbitmq.name",
                self.partitions
            );
        }
        let key = match argument {
            "x-max-length" if queue != self.quarantine().as_str() => " (twice a partition's share of bus.max_depth)",
            "x-delivery-limit" => " (bus.rabbitmq.delivery_limit)",
            "x-quorum-initial-group-size" | "x-initial-cluster-size" => " (bus.rabbitmq.replicas)",
            _ => "",
        };
        format!(
            "queue {queue} has {argument} = {theirs}, and the configuration asks for {ours}{key}; set the key back, or stop every \
             foryou and every producer, let the queue run empty, delete it (rabbitmqctl delete_queue {queue}), and run `foryou migrate`"
        )
    }

    async fn is_there(&self, address: &Address, link: &Link, queue: &str) -> Result<bool, BusError> {
        // A queue that is not there ends the channel.
        let channel = address.within("to open a channel", link.connection.create_channel()).await?;
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = channel.queue_declare(queue.into(), passive, FieldTable::default());
        match tokio::time::timeout(address.timeout, asked).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => match error.kind() {
                ErrorKind::ProtocolError(refused)
                    if matches!(refused.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)) =>
                {
                    Ok(false)
                }
                _ => address.within("for its queues", std::future::ready(Err(error))).await,
            },
            Err(_) => Err(address.silence("for its queues")),
        }
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: impl Into<i64>) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}
