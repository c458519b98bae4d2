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
use tokio::task::{JoinHandle, spawn_blocking};

use super::{ModelError, Models, Serving};

/// How often all priors are computed anew.
const PRIORS: Duration = Duration::from_secs(3);

/// A service that keeps the serving release's index in step with catalogue and statistics. It hears of changes through
/// [`Models`], which listens to the catalogue's writer.
pub struct IndexKeeper {
    models: Arc<Models>,
    live: Arc<Live>,
    rebuild: Option<JoinHandle<Result<(), ModelError>>>,
}

impl IndexKeeper {
    /// Declares the service.
    pub fn spec(models: Arc<Models>, live: Arc<Live>) -> ServiceSpec {
        ServiceSpec::new("index_keeper", move || Self {
            models: Arc::clone(&models),
            live: Arc::clone(&live),
            rebuild: None,
        })
    }

    async fn sync(&self, serving: &Arc<Serving>, context: &Context) -> Result<(), ServiceError> {
        let (began, serving, catalogue) = (Instant::now(), Arc::clone(serving), self.live.catalogue_full());
        let changed = spawn_blocking(move || serving.sync(&catalogue)).await??;
        if changed > 0 {
            context.probe.handled(changed as u64, began.elapsed());
        }
        Ok(())
    }

    async fn refresh_priors(&self, serving: &Arc<Serving>) -> Result<(), ServiceError> {
        let (serving, live) = (Arc::clone(serving), Arc::clone(&self.live));
        Ok(spawn_blocking(move || serving.refresh_priors(&live, Timestamp::now().seconds())).await??)
    }

    /// Takes the result of a rebuild that ended, and starts one where it pays.
    async fn rebuild_if_due(&mut self, serving: &Arc<Serving>, context: &Context) -> Result<(), ServiceError> {
        if self.rebuild.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(done) = self.rebuild.take()
            && let Err(error) = done.await?
        {
            context.probe.note_error(&error);
            tracing::error!(%error, "the index could not be rebuilt and is searched as it is");
        }
        if self.rebuild.is_none() && serving.wants_rebuild() {
            let serving = Arc::clone(serving);
            self.rebuild = Some(spawn_blocking(move || serving.rebuild()));
        }
        Ok(())
    }
}

#[async_trait]
impl Service for IndexKeeper {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        let mut priors_at = Instant::now();
        loop {
            let goes_on = tokio::select! {
                () = self.models.touched() => true,
                goes_on = context.stop.pause(PRIORS.saturating_sub(priors_at.elapsed())) => goes_on,
            };
            if !goes_on {
                break;
            }
            let Some(serving) = self.models.current() else {
                priors_at = Instant::now();
                continue;
            };
            self.sync(&serving, &context).await?;
            if priors_at.elapsed() >= PRIORS {
                self.refresh_priors(&serving).await?;
                self.rebuild_if_due(&serving, &context).await?;
                priors_at = Instant::now();
            }
        }
        // A rebuild is worth nothing any more, but its thread is ours to wait for.
        match self.rebuild.take() {
            Some(rebuild) => Ok(rebuild.await??),
            None => Ok(()),
        }
    }
}
