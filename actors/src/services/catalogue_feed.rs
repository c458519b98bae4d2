//! Follows the catalogue feed: what other nodes and producers elsewhere change is known here within milliseconds.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    catalogue::CatalogueWriter,
    supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use crate::{
    backoff::Backoff,
    complaint::Complaint,
    ports::{bus::BusError, catalogue::CatalogueFeed, cluster::Cluster},
};

/// How often the position is kept: what came since is heard again after a restart, which changes nothing.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// The longest pause between attempts to reach the feed.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The service to be supervised, for the node of this name. It must start after the catalogue's writer.
pub fn service(
    feed: Arc<dyn CatalogueFeed>,
    catalogue: CatalogueWriter,
    positions: Option<Arc<dyn Cluster>>,
    node: &str,
) -> ServiceSpec {
    let (node, position) = (Box::<str>::from(node), Arc::new(parking_lot::Mutex::new(None)));
    ServiceSpec::new("catalogue_feed", move || Follower {
        feed: feed.clone(),
        catalogue: catalogue.clone(),
        positions: positions.clone(),
        node: node.clone(),
        position: position.clone(),
        kept_at: None,
        complaint: Complaint::default(),
    })
}

struct Follower {
    feed: Arc<dyn CatalogueFeed>,
    catalogue: CatalogueWriter,
    positions: Option<Arc<dyn Cluster>>,
    node: Box<str>,
    /// How far this process has read; outlives a restart of the service.
    position: Arc<parking_lot::Mutex<Option<u64>>>,
    kept_at: Option<Instant>,
    complaint: Complaint,
}

#[async_trait]
impl Service for Follower {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        let mut backoff = Backoff::new(FIRST_BACKOFF, MAX_BACKOFF);
        while !context.stop.is_requested() {
            let began = Instant::now();
            let followed = self.follow(&context).await;
            backoff.worked_for(began.elapsed());
            if let Err(error) = followed {
                if let Some(left_out) = self.complaint.failed() {
                    tracing::warn!(%error, left_out, "the catalogue feed cannot be followed; trying again");
                }
                context.probe.note_error(error);
            }
            context.stop.pause(backoff.pause()).await;
        }
        self.keep().await;
        Ok(())
    }
}

impl Follower {
    async fn follow(&mut self, context: &Context) -> Result<(), ServiceError> {
        let known = *self.position.lock();
        let after = match (&self.positions, known) {
            (Some(positions), None) => positions.catalogue_position(&self.node).await?,
            _ => known,
        };
        let mut changes = self.feed.follow(after).await?;
        context.ready();
        if let Some(failed) = self.complaint.works() {
            tracing::info!(failed, "the catalogue feed is followed again");
        }
        loop {
            let due = self.kept_at.map_or_else(Instant::now, |at| at + KEEP_EVERY);
            let some = tokio::select! {
                some = changes.next() => some?,
                () = tokio::time::sleep_until(due), if self.kept_at.is_some() => { self.keep().await; continue }
                () = context.stop.requested() => return Ok(()),
            };
            if some.is_empty() {
                return Err(BusError::Away("the feed was closed".into()).into());
            }
            let started = Instant::now();
            for change in &some {
                if change.origin.as_deref() != Some(&*self.node) {
                    self.catalogue.hear(change).await?;
                }
                *self.position.lock() = Some(change.position);
            }
            self.kept_at.get_or_insert(started);
            context.probe.handled(some.len() as u64, started.elapsed());
        }
    }

    /// Keeps the position, if the store is there; else the next time.
    async fn keep(&mut self) {
        let position = *self.position.lock();
        if let (Some(positions), Some(position)) = (&self.positions, position)
            && let Err(error) = positions.set_catalogue_position(&self.node, position).await
        {
            tracing::debug!(%error, "the position in the catalogue feed is not kept");
            self.kept_at = Some(Instant::now());
            return;
        }
        self.kept_at = None;
    }
}
