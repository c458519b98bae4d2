//! Which nodes there are: each writes a row that says so again and again.

use std::time::Duration;

use async_trait::async_trait;
use foryou_schemas::Timestamp;

use super::{bus::Partitions, store::StoreError};

/// What a node tells the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name: stable over restarts, unique in the cluster; the owner of what it writes.
    pub name: Box<str>,
    /// Where the others reach it: `host:port`.
    pub address: Box<str>,
    /// Unique per process.
    pub incarnation: Box<str>,
    /// Grows with each row it writes: a node whose number stands still is gone.
    pub beat: u64,
    /// When the process started.
    pub started_at: Timestamp,
    /// The partitions whose sessions it holds.
    pub held: Partitions,
    /// The version of the program.
    pub version: Box<str>,
}

/// The list of nodes, in a store that all of them share.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Writes this node's row; it vanishes by itself after `ttl` (whole seconds, rounded up).
    async fn beat(&self, node: &Node, ttl: Duration) -> Result<(), StoreError>;

    /// Every node whose row is there, by name.
    async fn nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// Takes a node's row out, if it is of this incarnation.
    async fn leave(&self, node: &Node) -> Result<(), StoreError>;

    /// Shuts an owner out that seems gone: when this returns, it can write no more as the incarnation it was
    /// ([`StoreError::Fenced`]), and every batch of which it wrote a part is in the store as a whole. Any number of nodes may do it at once.
    async fn take_over(&self, owner: &str) -> Result<(), StoreError>;

    /// Everybody who ever wrote batches: what they left unfinished is finished by [`Cluster::take_over`].
    async fn owners(&self) -> Result<Vec<Box<str>>, StoreError>;

    /// How far a node has read the catalogue feed (see [`super::catalogue::CatalogueFeed::follow`]).
    async fn catalogue_position(&self, node: &str) -> Result<Option<u64>, StoreError>;

    /// Keeps how far it has read.
    async fn set_catalogue_position(&self, node: &str, position: u64) -> Result<(), StoreError>;
}
