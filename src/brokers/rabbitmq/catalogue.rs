//! Changes of the catalogue in a stream: every node reads it from end to end, at its own pace.

use async_trait::async_trait;
use foryou_actors::ports::{
    bus::BusError,
    catalogue::{CatalogueChange, CatalogueChanges, CatalogueFeed},
};
use foryou_schemas::{Video, VideoId};
use lapin::{
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use serde::Serialize;

use super::{NODE, RabbitBus, persistent, publisher, reader::Reader};

/// Videos of one message.
const CHUNK: usize = 100;

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

    /// Behind what was read, if that is there still. Else the stream is another one, deleted and declared again, of which nothing
    /// was read: that one is read from its first change.
    async fn follow(&self, after: Option<u64>) -> Result<Box<dyn CatalogueChanges>, BusError> {
        let mut changes = self.read_from(after).await?;
        if let Some(after) = after {
            match tokio::time::timeout(self.shared.address.timeout, changes.take()).await {
                Ok(ahead) => changes.ahead = ahead?,
                // An offset beyond the end is not refused: the broker would wait until the stream has grown so far.
                Err(_) => {
                    tracing::warn!(
                        after,
                        "the stream of catalogue changes ends before what was read of it; reading it from its first"
                    );
                    changes = self.read_from(None).await?;
                }
            }
        }
        Ok(Box::new(changes))
    }
}

impl RabbitBus {
    /// Reads from the change at `position` on, which is not handed out itself; without one, from the first.
    async fn read_from(&self, position: Option<u64>) -> Result<Changes, BusError> {
        let mut arguments = FieldTable::default();
        let offset = match position {
            Some(position) => AMQPValue::LongLongInt(position as i64),
            None => AMQPValue::LongString("first".into()),
        };
        arguments.insert("x-stream-offset".into(), offset);
        let stream = self.shared.topology.catalogue();
        let reader = Reader::open(&self.shared.address, "catalogue", stream, arguments).await?;
        Ok(Changes { reader, done: None, read: position, ahead: Vec::new() })
    }
}

/// A reader of the stream.
struct Changes {
    reader: Reader,
    /// The last delivery that was handed out: acknowledged when the next ones are asked for, for which it gives credit.
    done: Option<u64>,
    /// What was read before, up to here: not handed out again.
    read: Option<u64>,
    /// Came before somebody asked.
    ahead: Vec<CatalogueChange>,
}

#[async_trait]
impl CatalogueChanges for Changes {
    async fn next(&mut self) -> Result<Vec<CatalogueChange>, BusError> {
        loop {
            let mut some = std::mem::take(&mut self.ahead);
            if some.is_empty() {
                some = self.take().await?;
            }
            some.retain(|change| self.read.is_none_or(|read| change.position > read));
            if !some.is_empty() {
                return Ok(some);
            }
        }
    }
}

impl Changes {
    /// What came, at least one message; waits for it. Safe to cancel.
    async fn take(&mut self) -> Result<Vec<CatalogueChange>, BusError> {
        if let Some(done) = self.done.take() {
            self.reader.ack(done).await?;
        }
        let deliveries = self.reader.next().await?;
        self.done = deliveries.last().map(|delivery| delivery.delivery_tag);
        Ok(deliveries.into_iter().filter_map(change).collect())
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
