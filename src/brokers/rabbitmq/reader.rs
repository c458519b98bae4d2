//! Reads one queue over a connection of its own.

use foryou_actors::ports::bus::BusError;
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use lapin::{
    Channel, Event,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};

use super::link::{Address, Link, describe};

/// Messages that the broker sends ahead, and the most that are given out at once.
pub const PREFETCH: u16 = 100;

/// A consumer that is asked for messages. Dropped, it gives back what is not acknowledged.
pub struct Reader {
    address: Address,
    items: BoxStream<'static, Item>,
    channel: Channel,
    _link: Link,
}

enum Item {
    Came(lapin::Result<Delivery>),
    Ended,
    Connection(Event),
}

impl Reader {
    /// Starts to consume. `purpose` is what the broker shows as the connection's name.
    pub async fn open(
        address: &Address,
        purpose: &str,
        queue: ShortString,
        arguments: FieldTable,
    ) -> Result<Self, BusError> {
        let link = address.connect(purpose).await?;
        let events = link.connection.events_listener().map(Item::Connection);
        let what = format!("to consume {queue}");
        let consuming = async {
            let channel = link.connection.create_channel().await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let consumer = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), arguments).await?;
            Ok((channel, consumer))
        };
        let (channel, consumer) = address.within(&what, consuming).await?;
        let came = consumer.map(Item::Came).chain(stream::once(async { Item::Ended }));
        let (address, items) = (address.clone(), stream::select(came, events).boxed());
        Ok(Self { address, items, channel, _link: link })
    }

    /// The next messages, at least one; waits for them. Safe to cancel.
    pub async fn next(&mut self) -> Result<Vec<Delivery>, BusError> {
        let mut deliveries = Vec::new();
        while deliveries.len() < usize::from(PREFETCH) {
            let item = match self.items.next().now_or_never() {
                Some(item) => item,
                None if deliveries.is_empty() => self.items.next().await,
                None => break,
            };
            let lost = match item {
                Some(Item::Came(Ok(delivery))) => {
                    deliveries.push(delivery);
                    continue;
                }
                Some(Item::Connection(Event::Error(error)) | Item::Came(Err(error))) => describe(&error),
                Some(Item::Connection(_)) => continue,
                Some(Item::Ended) | None => "the consumer ended; if the queue was deleted, run `foryou migrate`".into(),
            };
            return Err(BusError::Away(format!("RabbitMQ is lost: {lost}")));
        }
        Ok(deliveries)
    }

    /// Acknowledges a message and all before it.
    pub async fn ack(&mut self, up_to: u64) -> Result<(), BusError> {
        let channel = self.channel.clone();
        // Its first poll sends it, so that it does not matter if we are dropped.
        let ack = async move { channel.basic_ack(up_to, BasicAckOptions { multiple: true }).await };
        self.address.within("to take acknowledgements", ack).await
    }
}
