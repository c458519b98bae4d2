//! Puts idle sessions to sleep, again and again, and in the end all of them.

use async_trait::async_trait;
use tokio::time::Instant;

use super::supervisor::{Context, Service, ServiceError, ServiceSpec};
use crate::sessions::Sessions;

/// The service to be supervised. It belongs between the feature writer and ingest: when it stops, no more events arrive, and
/// what it saves can still be written.
pub fn service(sessions: Sessions) -> ServiceSpec {
    ServiceSpec::new("session_sweeper", move || Sweeper(sessions.clone()))
}

struct Sweeper(Sessions);

#[async_trait]
impl Service for Sweeper {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while context.stop.pause(self.0.settings().sweep_every).await {
            let started = Instant::now();
            let slept = tokio::select! {
                slept = self.0.sweep() => slept,
                () = context.stop.requested() => break,
            };
            context.probe.handled(slept as u64, started.elapsed());
        }
        self.0.sleep_all(self.0.settings().save_within).await;
        Ok(())
    }
}
