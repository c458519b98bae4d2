//! `bench ingest`: events per second until durable, and whether each is there exactly once at the end.

use std::{
    collections::HashMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    client::Client,
    load::{Hit, histogram, open_loop, quantile_ms},
    report::{Head, Target},
    server::Server,
};

/// How many events one person gets at most: their history is read back in one page.
const EVENTS_EACH: u64 = 100;
/// The pause between two looks whether an event is stored: each look reads the store, which has other work.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Settings.
#[derive(Debug, Clone, Serialize)]
pub struct IngestBench {
    /// Events per second.
    pub rate: f64,
    /// For how long.
    pub duration_s: f64,
    /// Events of one request.
    pub batch: u64,
    /// Connections.
    pub connections: usize,
    /// What it runs against.
    pub target: Target,
}

/// What came out; see the contract, section 5. Latency is from the scheduled start to 202, that is until durable.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract says it")]
pub struct IngestReport {
    #[serde(flatten)]
    pub head: Head,
    pub settings: IngestBench,
    pub events_per_s: f64,
    pub p50: f64,
    pub p99: f64,
    pub cpu_us_per_event: f64,
    pub lost: u64,
    pub doubled: u64,
    pub errors: u64,
    /// From the last 202 until every event was in its person's history, seconds.
    pub applied_after_s: f64,
    /// From a 202 until the last event of its request was in the feature store, milliseconds; of some requests.
    pub stored: Quantiles,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub samples: u64,
}

/// Runs it.
pub async fn run(settings: IngestBench) -> Result<IngestReport> {
    let began = Instant::now();
    let server = Server::start(&settings.target).await?;
    let accepted: Arc<Mutex<HashMap<u64, u64>>> = Arc::default();
    let people = ((settings.rate * settings.duration_s) as u64).div_ceil(EVENTS_EACH).max(1);
    let (batch, noted) = (settings.batch, accepted.clone());
    // A store that outlives the run must not know its events from an earlier one.
    let run: Arc<str> = uuid::Uuid::now_v7().simple().to_string().into();
    let (samples, to_watch) = mpsc::channel(1);
    let watching = tokio::spawn(watch(Client::connect(server.address).await?, run.clone(), people, to_watch));
    let names = run.clone();
    let request = move |mut client: Client, n: u64| {
        let (noted, samples, run) = (noted.clone(), samples.clone(), names.clone());
        async move {
            let range = n * batch..(n + 1) * batch;
            let result = send(&mut client, &run, range.clone(), people, &noted).await;
            if result.is_ok() {
                // Whoever watches takes the next one when it is done with the last.
                let _ = samples.try_send((range.end - 1, Instant::now()));
            }
            (client, result)
        }
    };
    let cpu = server.cpu_s()?;
    let duration = Duration::from_secs_f64(settings.duration_s);
    let rate = settings.rate / batch as f64;
    let outcome = open_loop(server.address, rate, duration, settings.connections, request).await?;
    let waiting = Instant::now();
    let stored = watching.await??;
    let accepted = accepted.lock().clone();
    let (lost, doubled) = verify(&server, &run, &accepted).await?;
    let applied_after_s = waiting.elapsed().as_secs_f64();
    let events = (outcome.done * batch).max(1) as f64;
    Ok(IngestReport {
        events_per_s: events / outcome.seconds,
        p50: quantile_ms(&outcome.latency, 0.5),
        p99: quantile_ms(&outcome.latency, 0.99),
        cpu_us_per_event: (server.cpu_s()? - cpu) * 1e6 / events,
        lost,
        doubled,
        errors: outcome.errors,
        applied_after_s,
        stored: Quantiles { p50: quantile_ms(&stored, 0.5), p99: quantile_ms(&stored, 0.99), samples: stored.len() },
        head: Head::new("ingest", began, server.onnxruntime()),
        settings,
    })
}

/// Posts one batch, people in turn, and notes how many events of whom were accepted.
async fn send(
    client: &mut Client,
    run: &str,
    range: Range<u64>,
    people: u64,
    accepted: &Mutex<HashMap<u64, u64>>,
) -> Result<Hit> {
    let event = |k: u64| {
        serde_json::json!({"id": format!("{run}-{k}"), "user": format!("{run}-{}", k % people),
            "video": (k.wrapping_mul(7_919) % 7_500).to_string(), "kind": "view", "watch_ms": 4_000})
    };
    let events: Vec<_> = range.clone().map(event).collect();
    let (status, body) = client.post("/v1/events", serde_json::json!({ "events": events }).to_string()).await?;
    ensure!(status.as_u16() == 202, "events were answered {status}: {}", String::from_utf8_lossy(&body));
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    let mut accepted = accepted.lock();
    for (k, result) in range.clone().zip(&results) {
        if result["status"] == "accepted" {
            *accepted.entry(k % people).or_default() += 1;
        }
    }
    Ok(Hit { ok: results.len() as u64 == range.end - range.start, marks: 0 })
}

/// Measures how long it takes until an event that was just accepted is in its person's history, that is in the store; one after
/// the other, so that the looking takes little from what is measured. Ends when nobody sends any more.
async fn watch(
    mut client: Client,
    run: Arc<str>,
    people: u64,
    mut accepted: mpsc::Receiver<(u64, Instant)>,
) -> Result<Histogram<u64>> {
    let mut stored = histogram();
    while let Some((k, began)) = accepted.recv().await {
        let path = format!("/v1/users/{run}-{}/history?limit={EVENTS_EACH}", k % people);
        let id = format!("\"{run}-{k}\"");
        while !String::from_utf8_lossy(&client.get(&path).await?.1).contains(&id) {
            ensure!(began.elapsed() < Duration::from_secs(60), "event {id} was accepted and is not stored after 60 s");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        stored.saturating_record(began.elapsed().as_micros() as u64);
    }
    Ok(stored)
}

/// Reads every person's history back: `(lost, doubled)`. Waits for what is still on its way.
async fn verify(server: &Server, run: &str, accepted: &HashMap<u64, u64>) -> Result<(u64, u64)> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut client = Client::connect(server.address).await?;
    let (mut lost, mut doubled) = (0, 0);
    for (person, wanted) in accepted {
        loop {
            let (_, body) = client.get(&format!("/v1/users/{run}-{person}/history?limit={EVENTS_EACH}")).await?;
            let answer: serde_json::Value = serde_json::from_slice(&body)?;
            let ids: Vec<&str> =
                answer["events"].as_array().into_iter().flatten().filter_map(|e| e["id"].as_str()).collect();
            let distinct = ids.iter().collect::<std::collections::HashSet<_>>().len() as u64;
            if distinct >= *wanted || Instant::now() > deadline {
                lost += wanted.saturating_sub(distinct);
                doubled += ids.len() as u64 - distinct;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok((lost, doubled))
}
