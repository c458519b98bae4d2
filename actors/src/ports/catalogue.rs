//! Changes of the catalogue, told to every node, and by producers elsewhere.

use async_trait::async_trait;
use foryou_schemas::{Video, VideoId};

use super::bus::BusError;

/// A durable list of changes that every node reads from end to end.
#[async_trait]
pub trait CatalogueFeed: Send + Sync + 'static {
    /// Tells every node of videos that are in the store. Durable when this returns.
    async fn announce(&self, videos: &[(VideoId, Video)]) -> Result<(), BusError>;

    /// Starts to read behind `after`, or at the oldest change that is kept.
    async fn follow(&self, after: Option<u64>) -> Result<Box<dyn CatalogueChanges>, BusError>;
}

/// Where changes come out, in one order for all nodes.
#[async_trait]
pub trait CatalogueChanges: Send {
    /// The next changes, at least one; waits for them. Empty: the feed was closed. Safe to cancel.
    async fn next(&mut self) -> Result<Vec<CatalogueChange>, BusError>;
}

/// A message of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueChange {
    /// Its place in the feed; grows.
    pub position: u64,
    /// The node that announced it, and has it in the store. `None`: a producer elsewhere, and nobody has stored it yet.
    pub origin: Option<Box<str>>,
    /// A video with its id as JSON, or `{"videos": [..]}`, as `POST /v1/videos` takes it.
    pub payload: Vec<u8>,
}
