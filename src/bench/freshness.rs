//! `bench freshness`: from sending an event to the first feed that reflects it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{
    load::{Hit, open_loop, quantile_ms},
    report::{Head, Target},
    server::Server,
};

/// Settings.
#[derive(Debug, Clone, Serialize)]
pub struct FreshnessBench {
    /// Events per second, each followed by a feed.
    pub rate: f64,
    /// People who are active, in turn; each asks for a feed before anything is measured.
    pub people: usize,
    /// For how long.
    pub duration_s: f64,
    /// Connections.
    pub connections: usize,
    /// What it runs against.
    pub target: Target,
}

/// What came out; see the contract, section 5.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract says it")]
pub struct FreshnessReport {
    #[serde(flatten)]
    pub head: Head,
    pub settings: FreshnessBench,
    pub events_per_s: f64,
    pub p50: f64,
    pub p99: f64,
    pub missed: u64,
    pub errors: u64,
}

/// Runs it. Each arrival sends an event and, once it is accepted, asks for the person's feed `after` it.
pub async fn run(settings: FreshnessBench) -> Result<FreshnessReport> {
    let began = Instant::now();
    let server = Server::start(&settings.target).await?;
    let users: Arc<[String]> = server.users.iter().take(settings.people).cloned().collect();
    ensure!(!users.is_empty(), "the data set has no people");
    let people = users.clone();
    let wake = move |mut client: super::client::Client, n: u64| {
        let path = format!("/v1/users/{}/feed?limit=10", people[n as usize % people.len()]);
        async move {
            let answer = client.get(&path).await.map(|(status, _)| Hit { ok: status.is_success(), marks: 0 });
            (client, answer)
        }
    };
    let waking = Duration::from_secs_f64(users.len() as f64 / settings.rate);
    open_loop(server.address, settings.rate, waking, settings.connections, wake).await?;
    let request = move |mut client: super::client::Client, n: u64| {
        let users = users.clone();
        async move {
            let user = &users[(n.wrapping_mul(7_919) % users.len() as u64) as usize];
            let result = reflected(&mut client, user, n).await;
            (client, result)
        }
    };
    let warm_up = Duration::from_secs_f64(settings.duration_s / 10.0);
    open_loop(server.address, settings.rate, warm_up, settings.connections, request.clone()).await?;
    let duration = Duration::from_secs_f64(settings.duration_s);
    let outcome = open_loop(server.address, settings.rate, duration, settings.connections, request).await?;
    Ok(FreshnessReport {
        events_per_s: (outcome.done + outcome.errors) as f64 / outcome.seconds,
        p50: quantile_ms(&outcome.latency, 0.5),
        p99: quantile_ms(&outcome.latency, 0.99),
        missed: outcome.marks,
        errors: outcome.errors,
        head: Head::new("freshness", began, server.onnxruntime()),
        settings,
    })
}

async fn reflected(client: &mut super::client::Client, user: &str, n: u64) -> Result<Hit> {
    let id = format!("bench-{}", uuid::Uuid::now_v7());
    // A video that differs from arrival to arrival; ids of the bundled data are numbers.
    let event = serde_json::json!({"id": id, "user": user, "video": (n % 7_500).to_string(), "kind": "view", "watch_ms": 9_000});
    let (status, body) = client.post("/v1/events", event.to_string()).await?;
    ensure!(status.as_u16() == 202, "an event was answered {status}: {}", String::from_utf8_lossy(&body));
    let (status, body) = client.get(&format!("/v1/users/{user}/feed?limit=10&after={id}&wait_ms=2000")).await?;
    ensure!(status.is_success(), "a feed was answered {status}");
    let feed: serde_json::Value = serde_json::from_slice(&body)?;
    let late = feed["degraded"]
        .as_array()
        .is_some_and(|d| d.iter().any(|r| r.as_str().is_some_and(|r| r.starts_with("after"))));
    Ok(Hit { ok: true, marks: u64::from(late) })
}
