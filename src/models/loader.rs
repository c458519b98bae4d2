//! The release loader: watches which release is active, makes it ready aside, and swaps.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use foryou_actors::{
    live::Live,
    services::{
        subscriptions::Subscriptions,
        supervisor::{Context, Service, ServiceError, ServiceSpec},
    },
};
use foryou_schemas::Timestamp;
use parking_lot::Mutex;

use super::{Loading, Models, Releases, Serving};

/// How often the `active` file is looked at.
const POLL: Duration = Duration::from_secs(1);

/// A service that keeps [`Models`] at the active release. A release that cannot serve is refused with the reason, and the one
/// before goes on.
pub struct ReleaseLoader {
    releases: Releases,
    models: Arc<Models>,
    live: Arc<Live>,
    /// Hears of every swap.
    subscriptions: Subscriptions,
    how: Loading,
    /// The `active` file that was acted on last; outlives a restart, so that a bad release is not tried forever.
    seen: Arc<Mutex<Option<SystemTime>>>,
}

impl ReleaseLoader {
    /// Declares the service. `how`: see [`Loading`].
    pub fn spec(
        releases: Releases,
        models: Arc<Models>,
        live: Arc<Live>,
        subscriptions: Subscriptions,
        how: impl Into<Loading>,
    ) -> ServiceSpec {
        let (seen, how) = (Arc::default(), how.into());
        ServiceSpec::new("release_loader", move || Self {
            releases: releases.clone(),
            models: Arc::clone(&models),
            live: Arc::clone(&live),
            subscriptions: subscriptions.clone(),
            how,
            seen: Arc::clone(&seen),
        })
    }

    /// Loads the active release if `active` changed since the last call. Blocks for as long as loading takes.
    ///
    /// `Ok(None)`: nothing to do.
    fn look(&self) -> Result<Option<String>, super::ModelError> {
        let changed = std::fs::metadata(self.releases.active_file()).and_then(|m| m.modified()).ok();
        if changed.is_none() || std::mem::replace(&mut *self.seen.lock(), changed) == changed {
            return Ok(None);
        }
        let Some(id) = self.releases.active()? else { return Ok(None) };
        if self.models.current().is_some_and(|serving| serving.release.manifest.id == id) {
            return Ok(None);
        }
        let path = self.releases.path(&id)?;
        let serving = Serving::load(&path, self.how, &self.live, Timestamp::now().seconds())?;
        self.models.swap(Some(Arc::new(serving)));
        Ok(Some(id))
    }
}

#[async_trait]
impl Service for ReleaseLoader {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        loop {
            let began = Instant::now();
            let this = Self {
                releases: self.releases.clone(),
                models: Arc::clone(&self.models),
                live: Arc::clone(&self.live),
                subscriptions: self.subscriptions.clone(),
                how: self.how,
                seen: Arc::clone(&self.seen),
            };
            match tokio::task::spawn_blocking(move || this.look()).await? {
                Ok(None) => {}
                Ok(Some(release)) => {
                    let took = began.elapsed();
                    context.probe.handled(1, took);
                    self.subscriptions.release_swapped(&release);
                    tracing::info!(release, took_ms = took.as_millis() as u64, "a release serves from now on");
                }
                Err(error) => {
                    context.probe.note_error(&error);
                    tracing::error!(%error, "the active release cannot serve; the one before goes on");
                }
            }
            context.ready();
            if !context.stop.pause(POLL).await {
                return Ok(());
            }
        }
    }
}
