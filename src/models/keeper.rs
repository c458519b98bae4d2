//! The index keeper: new and changed videos into the index at once, fresh recency priors every few seconds, a new graph when
//! the exact segment grew long.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foryou_actors::{
    live::Live,
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use foryou_schemas::Timestamp;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::spawn_blocking,
};

use super::{ModelError, Models, Serving};

/// How often all priors are computed anew.
const PRIORS: Duration = Duration::from_secs(3);

/// A service that keeps the serving release's index in step with catalogue and statistics. It hears of changes through
/// [`Models`], which listens to the catalogue's writer.
pub struct IndexKeeper {
    models: Arc<Models>,
    live: Arc<Live>,
    rebuild: Option<Rebuild>,
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
        if let Some(result) = self.rebuild.as_mut().and_then(Rebuild::result) {
            self.rebuild = None;
            if let Err(error) = result {
                context.probe.note_error(&error);
                tracing::error!(%error, "the index could not be rebuilt and is searched as it is");
            }
        }
        if self.rebuild.is_none() && serving.wants_rebuild() {
            let serving = Arc::clone(serving);
            self.rebuild = Some(Rebuild::start(move || serving.rebuild())?);
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
        Ok(())
    }
}

/// A rebuild, on a thread of its own. It takes minutes, hora cannot be interrupted, and its result is worth nothing to a server
/// that stops: what still runs then ends with the process.
struct Rebuild(oneshot::Receiver<Result<(), ModelError>>);

impl Rebuild {
    fn start(work: impl FnOnce() -> Result<(), ModelError> + Send + 'static) -> io::Result<Self> {
        let (done, result) = oneshot::channel();
        thread::Builder::new().name("index-rebuild".into()).spawn(move || {
            let _nobody_waits = done.send(work());
        })?;
        Ok(Self(result))
    }

    /// Its result, once it has ended.
    fn result(&mut self) -> Option<Result<(), ServiceError>> {
        match self.0.try_recv() {
            Ok(result) => Some(result.map_err(ServiceError::from)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err("the thread that rebuilt it panicked".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use foryou_actors::services::supervisor::{RestartPolicy, Supervisor};

    use super::*;

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_rebuild() {
        let (end, ended) = mpsc::channel::<()>();
        let until_ended = move || {
            ended.recv().unwrap();
            Ok(())
        };
        let mut rebuild = Some(Rebuild::start(until_ended).unwrap());
        let (models, live) = (Arc::new(Models::default()), Arc::default());
        let keeper = ServiceSpec::new("index_keeper", move || IndexKeeper {
            models: Arc::clone(&models),
            live: Arc::clone(&live),
            rebuild: rebuild.take(),
        });
        let supervisor = Supervisor::start(RestartPolicy::default(), vec![keeper]).await.unwrap();
        assert!(supervisor.ready().await);
        assert!(supervisor.stop(Duration::from_secs(10)).await.is_empty());
        // Only now may it end.
        end.send(()).unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_rebuild_is_told() {
        async fn result(work: impl FnOnce() -> Result<(), ModelError> + Send + 'static) -> Result<(), String> {
            let mut rebuild = Rebuild::start(work).unwrap();
            loop {
                match rebuild.result() {
                    Some(result) => return result.map_err(|error| error.to_string()),
                    None => tokio::task::yield_now().await,
                }
            }
        }
        assert_eq!(result(|| Ok(())).await, Ok(()));
        let error = result(|| Err(foryou_index::IndexError::Build("no".into()).into())).await.unwrap_err();
        assert!(error.contains("no"), "{error}");
        assert!(result(|| panic!("as a test does")).await.unwrap_err().contains("panicked"));
    }
}
