//! The index keeper: new and changed videos into the index at once, fresh recency priors every few seconds, a new graph when
//! the exact segment grew long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foryou_actors::{
    live::Live,
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use foryou_schemas::Timestamp;
use tokio::task::JoinHandle;

use super::{ModelError, Models, Serving};

/// How often the catalogue is compared with the index: a pointer, when nothing changed.
const SYNC: Duration = Duration::from_millis(5);
/// How often all priors are computed anew.
const PRIORS: Duration = Duration::from_secs(3);

/// A service that keeps the serving release's index in step with catalogue and statistics.
pub struct IndexKeeper {
    models: Arc<Models>,
    live: Arc<Live>,
    rebuild: Option<JoinHandle<Result<(), ModelError>>>,
}

impl IndexKeeper {
    /// Declares the service.
    pub fn spec(models: Arc<Models>, live: Arc<Live>) -> ServiceSpec {
        ServiceSpec::new("index keeper", move || Self {
            models: Arc::clone(&models),
            live: Arc::clone(&live),
            rebuild: None,
        })
    }

    /// Starts a rebuild where it pays, and takes the result of the one before.
    async fn rebuild_if_due(&mut self, serving: &Arc<Serving>, context: &Context) -> Result<(), ServiceError> {
        if self.rebuild.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(done) = self.rebuild.take()
            && let Err(error) = done.await?
        {
            context.probe.note_error(&error);
            tracing::error!(%error, "the index could not be rebuilt");
        }
        if self.rebuild.is_none() && serving.wants_rebuild() {
            let serving = Arc::clone(serving);
            self.rebuild = Some(tokio::task::spawn_blocking(move || serving.rebuild()));
        }
        Ok(())
    }
}

#[async_trait]
impl Service for IndexKeeper {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        let mut synced = None;
        let mut priors_at = Instant::now();
        while context.stop.pause(SYNC).await {
            let Some(serving) = self.models.current() else { continue };
            let catalogue = self.live.catalogue_full();
            let key = (Arc::as_ptr(&catalogue) as usize, Arc::as_ptr(&serving) as usize);
            // The arcs are kept with the key, so that no other can have their address.
            let same = synced.as_ref().is_some_and(|(old, _, _)| *old == key);
            if !same {
                let began = Instant::now();
                let (to, from) = (Arc::clone(&serving), Arc::clone(&catalogue));
                let changed = tokio::task::spawn_blocking(move || to.sync(&from)).await??;
                context.probe.handled(changed as u64, began.elapsed());
                synced = Some((key, catalogue, Arc::downgrade(&serving)));
            }
            if priors_at.elapsed() >= PRIORS {
                priors_at = Instant::now();
                let (of, live) = (Arc::clone(&serving), Arc::clone(&self.live));
                let now_s = Timestamp::now().seconds();
                tokio::task::spawn_blocking(move || of.refresh_priors(&live, now_s)).await??;
                self.rebuild_if_due(&serving, &context).await?;
            }
        }
        // A rebuild is worth nothing any more, but its thread is ours to wait for.
        match self.rebuild.take() {
            Some(rebuild) => Ok(rebuild.await??),
            None => Ok(()),
        }
    }
}
