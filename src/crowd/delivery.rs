//! Batches of events, each sent until the server has said what became of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use anyhow::{Context, Result, bail};
use foryou_actors::backoff::Backoff;
use foryou_schemas::Event;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::server::{Server, asked_to_wait};

/// The first pause after a try that had no answer, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a server may be gone.
const GONE: Duration = Duration::from_secs(300);

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The server said what became of each event.
    All,
    /// It was asked to stop before.
    Stopped,
}

/// Delivers batches one after the other, so that everybody's events keep their order.
pub struct Delivery {
    server: Arc<Server>,
    stopping: watch::Receiver<bool>,
    /// As the server said.
    pub accepted: u64,
    /// As the server said.
    pub duplicates: u64,
    /// As the server said.
    pub rejected: u64,
    /// Tries beyond the first of each batch.
    pub retries: u64,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    status: Box<str>,
}

#[derive(Deserialize, Default)]
struct Document {
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    reason: String,
}

impl Delivery {
    /// Nothing is delivered yet.
    pub fn new(server: Arc<Server>, stopping: watch::Receiver<bool>) -> Self {
        Self { server, stopping, accepted: 0, duplicates: 0, rejected: 0, retries: 0 }
    }

    /// Sends events until the server has them, or refuses them for good. A busy server is waited for as long as it asks, one that is
    /// gone for some minutes. Fails where the server does not let the crowd in.
    pub async fn send(&mut self, events: &[Event]) -> Result<Told> {
        if events.is_empty() {
            return Ok(Told::All);
        }
        let body = json!({ "events": events }).to_string().into_bytes();
        let (began, mut backoff) = (Instant::now(), Backoff::new(PAUSES.0, PAUSES.1));
        loop {
            let wait = match self.server.ask(Method::POST, "/v1/events", body.clone()).await {
                Ok(answer) if answer.status() == StatusCode::PAYLOAD_TOO_LARGE && events.len() > 1 => {
                    let (first, second) = events.split_at(events.len() / 2);
                    return match Box::pin(self.send(first)).await? {
                        Told::All => Box::pin(self.send(second)).await,
                        Told::Stopped => Ok(Told::Stopped),
                    };
                }
                Ok(answer) => match asked_to_wait(&answer) {
                    Some(wait) => wait,
                    None if answer.status().is_server_error() => backoff.pause(),
                    None => return self.settled(&answer, events.len()),
                },
                Err(error) if began.elapsed() > GONE => return Err(error.context("the server is gone")),
                Err(error) => {
                    tracing::debug!(%error, "no answer to a batch; it is sent again");
                    backoff.pause()
                }
            };
            self.retries += 1;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return Ok(Told::Stopped),
            }
        }
    }

    fn settled(&mut self, answer: &Response<Bytes>, events: usize) -> Result<Told> {
        match answer.status() {
            StatusCode::ACCEPTED => {
                let read: Results =
                    serde_json::from_slice(answer.body()).context("the server's answer is no result")?;
                for outcome in &read.results {
                    match &*outcome.status {
                        "accepted" => self.accepted += 1,
                        "duplicate" => self.duplicates += 1,
                        _ => self.rejected += 1,
                    }
                }
            }
            StatusCode::UNPROCESSABLE_ENTITY => {
                if self.rejected == 0 {
                    let document = document(answer);
                    let first =
                        document.errors.first().map_or_else(String::new, |e| format!("{} {}", e.field, e.reason));
                    tracing::warn!("the server refuses events: {} {first}", document.detail);
                }
                self.rejected += events as u64;
            }
            status => bail!("the server answered {status}: {}", document(answer).detail),
        }
        Ok(Told::All)
    }
}

fn document(answer: &Response<Bytes>) -> Document {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}
