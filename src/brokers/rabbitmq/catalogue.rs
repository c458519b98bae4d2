//! Changes of the catalogue in a stream: every node reads it from end to end, at its own pace.

use async_trait::async_trait;
use foryou_actors::ports::{
    bus::BusError,
    catalogue::{CatalogueChange, CatalogueChanges, CatalogueFeed},
};
use foryou_schemas::{Video, VideoId};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use lapin::{
    Channel, Event,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use serde::Serialize;

use super::{
    NODE, RabbitBus,
    link::{Address, Link, describe},
    persistent, publisher,
};

/// Videos of one message.
const CHUNK: usize = 100;
/// Messages that the broker sends ahead.
const PREFETCH: u16 = 100;

#[derive(Serialize)]
struct Videos<'a> {
    videos: Vec<WithId<'a>>,
}

#[derive(Serialize)]
struct WithId<'a> {
    id: &'a VideoId,
    #[serde(flatten)]
    video: &'a Video,
}

#[async_trait]
impl CatalogueFeed for RabbitBus {
    async fn announce(&self, videos: &[(VideoId, Video)]) -> Result<(), BusError> {
        if videos.is_empty() {
            return Ok(());
        }
        let mut headers = FieldTable::default();
        headers.insert(NODE.into(), AMQPValue::LongString(self.node.as_str().into()));
        let message = |chunk: &[(VideoId, Video)]| {
            let videos = Videos { videos: chunk.iter().map(|(id, video)| WithId { id, video }).collect() };
            let payload = serde_json::to_vec(&videos)
                .map_err(|error| BusError::Away(format!("videos that do not encode: {error}")))?;
            Ok(publisher::Message {
                exchange: self.shared.topology.catalogue(),
                routing_key: "".into(),
                properties: persistent().with_headers(headers.clone()),
                payload,
            })
        };
        self.shared.publisher.publish(videos.chunks(CHUNK).map(message).collect::<Result<_, BusError>>()?).await
    }

    async fn follow(&self, after: Option<u64>) -> Result<Box<dyn CatalogueChanges>, BusError> {
        let address = &self.shared.address;
        let link = address.connect("catalogue").await?;
        let events = link.connection.events_listener().map(Item::Connection);
        let queue = self.shared.topology.catalogue();
        let what = format!("to consume stream {queue}");
        let consuming = async {
            let channel = link.connection.create_channel().await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let mut arguments = FieldTable::default();
            let offset = match after {
                Some(position) => AMQPValue::LongLongInt(position.saturating_add(1) as i64),
                None => AMQPValue::LongString("first".into()),
            };
            arguments.insert("x-stream-offset".into(), offset);
            let consumer = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), arguments).await?;
            Ok((channel, consumer))
        };
        let (channel, consumer) = address.within(&what, consuming).await?;
        let came = consumer.map(Item::Came).chain(stream::once(async { Item::Ended }));
        let (address, items) = (address.clone(), stream::select(came, events).boxed());
        Ok(Box::new(Changes { address, items, channel, done: None, _link: link }))
    }
}

/// A reader of the stream.
struct Changes {
    address: Address,
    items: BoxStream<'static, Item>,
    channel: Channel,
    /// The last delivery that was handed out: acknowledged when the next ones are asked for, for which it gives credit.
    done: Option<u64>,
    _link: Link,
}

enum Item {
    Came(lapin::Result<Delivery>),
    Ended,
    Connection(Event),
}

#[async_trait]
impl CatalogueChanges for Changes {
    async fn next(&mut self) -> Result<Vec<CatalogueChange>, BusError> {
        if let Some(done) = self.done.take() {
            let channel = self.channel.clone();
            // Its first poll sends it, so that it does not matter if we are dropped.
            let ack = async move { channel.basic_ack(done, BasicAckOptions { multiple: true }).await };
            self.address.within("to take acknowledgements", ack).await?;
        }
        let mut changes = Vec::new();
        while changes.len() < usize::from(PREFETCH) {
            let item = match self.items.next().now_or_never() {
                Some(item) => item,
                None if changes.is_empty() => self.items.next().await,
                None => break,
            };
            let lost = match item {
                Some(Item::Came(Ok(delivery))) => {
                    self.done = Some(delivery.delivery_tag);
                    changes.extend(change(delivery));
                    continue;
                }
                Some(Item::Connection(Event::Error(error)) | Item::Came(Err(error))) => describe(&error),
                Some(Item::Connection(_)) => continue,
                Some(Item::Ended) | None => {
                    "the consumer ended; if the stream was deleted, run `foryou migrate`".into()
                }
            };
            return Err(BusError::Away(format!("RabbitMQ is lost: {lost}")));
        }
        Ok(changes)
    }
}

fn change(delivery: Delivery) -> Option<CatalogueChange> {
    let headers = delivery.properties.headers().as_ref()?.inner();
    let position = match headers.get("x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok()?,
        _ => return None,
    };
    let origin = headers.get(NODE).and_then(|node| match node {
        AMQPValue::LongString(node) => Some(node.to_string().into()),
        _ => None,
    });
    Some(CatalogueChange { position, origin, payload: delivery.data })
}
