//! Looks every second or so whether keys were made or revoked, and whether the keys of tokens changed.

use std::time::Duration;

use actix_web::web::Data;
use async_trait::async_trait;
use foryou_actors::{
    complaint::Complaint,
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use tokio::time::Instant;

use super::Gate;

/// The service to be supervised.
pub fn service(gate: Data<Gate>, every: Duration) -> ServiceSpec {
    ServiceSpec::new("access", move || Refresh { gate: gate.clone(), every, complaint: Complaint::default() })
}

struct Refresh {
    gate: Data<Gate>,
    every: Duration,
    complaint: Complaint,
}

#[async_trait]
impl Service for Refresh {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while context.stop.pause(self.every).await {
            let started = Instant::now();
            // What is known stays in force: a store that is away locks nobody out, and lets nobody in.
            if let Err(error) = self.gate.keys().refresh().await {
                tracing::debug!(%error, "the API keys cannot be read");
                context.probe.note_error(format!("keys: {error}"));
            }
            let gate = self.gate.clone();
            let read = tokio::task::spawn_blocking(move || gate.tokens().refresh()).await;
            if let Ok(Err(error)) = read {
                if let Some(left_out) = self.complaint.failed() {
                    tracing::warn!(%error, left_out, "the keys of people's tokens stay as they were");
                }
                context.probe.note_error(error.to_string());
            }
            context.probe.handled(1, started.elapsed());
        }
        Ok(())
    }
}
