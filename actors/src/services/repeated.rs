//! Services that do one thing again and again.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::supervisor::{Context, Service, ServiceError, ServiceSpec};

/// A service that does `work` each time `every` has passed, and ends between two times. What fails is shown, and done again the next
/// time.
pub fn repeated<W, F>(name: &'static str, every: Duration, work: W) -> ServiceSpec
where
    W: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    ServiceSpec::new(name, move || Repeated { every, work: work.clone() })
}

struct Repeated<W> {
    every: Duration,
    work: W,
}

#[async_trait]
impl<W, F> Service for Repeated<W>
where
    W: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while context.stop.pause(self.every).await {
            let started = Instant::now();
            if let Err(error) = (self.work)().await {
                context.probe.note_error(error);
            }
            context.probe.handled(1, started.elapsed());
        }
        Ok(())
    }
}
