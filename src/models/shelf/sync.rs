//! Keeps a node's folder of releases at what is active for all nodes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foryou_actors::{
    backoff::Backoff,
    complaint::Complaint,
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
};

use super::Shelf;

/// How often the active release is asked for: one row.
const POLL: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(30);

/// A service that fetches the active release into the folder; the release loader does the rest.
pub struct ReleaseSync {
    shelf: Arc<dyn Shelf>,
    complaint: Complaint,
}

impl ReleaseSync {
    /// Declares the service.
    pub fn spec(shelf: Arc<dyn Shelf>) -> ServiceSpec {
        ServiceSpec::new("release_sync", move || Self { shelf: shelf.clone(), complaint: Complaint::default() })
    }
}

#[async_trait]
impl Service for ReleaseSync {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        let mut backoff = Backoff::new(POLL * 2, LONGEST);
        loop {
            let began = Instant::now();
            let synced = tokio::select! {
                synced = self.shelf.sync() => synced,
                () = context.stop.requested() => return Ok(()),
            };
            let pause = match synced {
                Ok(changed) => {
                    backoff.reset();
                    if let Some(failed) = self.complaint.works() {
                        tracing::info!(failed, "the active release can be asked for again");
                    }
                    if let Some(release) = changed {
                        context.probe.handled(1, began.elapsed());
                        tracing::info!(
                            release,
                            took_ms = began.elapsed().as_millis() as u64,
                            "another release is active for all nodes"
                        );
                    }
                    POLL
                }
                Err(error) => {
                    if let Some(left_out) = self.complaint.failed() {
                        tracing::warn!(%error, left_out, "the active release cannot be fetched; the one before goes on");
                    }
                    context.probe.note_error(error);
                    backoff.pause()
                }
            };
            // Only now: a node that joins serves with the release from its beginning, where it can be had.
            context.ready();
            if !context.stop.pause(pause).await {
                return Ok(());
            }
        }
    }
}
