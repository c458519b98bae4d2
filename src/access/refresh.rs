//! Looks every second or so whether keys were made or revoked, and whether the keys of tokens changed.

use std::{sync::Arc, time::Duration};

use actix_web::web::Data;
use foryou_actors::{
    complaint::Complaint,
    services::{
        repeated::repeated,
        supervisor::{ServiceError, ServiceSpec},
    },
};

use super::Gate;

/// The service to be supervised.
pub fn service(gate: Data<Gate>, every: Duration) -> ServiceSpec {
    let complaint = Arc::<Complaint>::default();
    repeated("access", every, move || refresh(gate.clone(), complaint.clone()))
}

/// What is known stays in force where something cannot be read: a store that is away locks nobody out, and lets nobody in.
async fn refresh(gate: Data<Gate>, complaint: Arc<Complaint>) -> Result<(), ServiceError> {
    let keys = gate.keys().refresh().await;
    if let Err(error) = &keys {
        tracing::debug!(%error, "the API keys cannot be read");
    }
    let tokens = tokio::task::spawn_blocking(move || gate.tokens().refresh()).await?;
    if let Err(error) = &tokens
        && let Some(left_out) = complaint.failed()
    {
        tracing::warn!(%error, left_out, "the keys of people's tokens stay as they were");
    }
    keys.map_err(|error| format!("keys: {error}"))?;
    Ok(tokens?)
}
