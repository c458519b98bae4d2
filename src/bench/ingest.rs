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

use super::{
    client::Client,
    load::{Hit, open_loop, quantile_ms},
    report::{Head, Target},
    server::Server,
};

/// How many events one person gets at most: their history is read back in one page.
const EVENTS_EACH: u64 = 100;
/// Of how many requests a second it is measured when their events are stored; each takes a connection as long as that takes.
const SAMPLES_PER_S: f64 = 20.0;
/// The pause between two looks whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(1);

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
    /// From a 202 until the last event of its request was in the feature store, of one request in so many: milliseconds.
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
    let stored = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let sample_every = (settings.rate / batch as f64 / SAMPLES_PER_S).ceil().max(1.0) as u64;
    // A store that outlives the run must not know its events from an earlier one.
    let run: Arc<str> = uuid::Uuid::now_v7().simple().to_string().into();
    let (noted_stored, names) = (stored.clone(), run.clone());
    let request = move |mut client: Client, n: u64| {
        let (noted, stored, run) = (noted.clone(), noted_stored.clone(), names.clone());
        async move {
            let range = n * batch..(n + 1) * batch;
            let mut result = send(&mut client, &run, range.clone(), people, &noted).await;
            if result.is_ok() && n.is_multiple_of(sample_every) {
                let waited = until_stored(&mut client, &run, range.end - 1, people, &stored).await;
                result = result.and_then(|hit| waited.map(|()| hit));
            }
            (client, result)
        }
    };
    let cpu = server.cpu_s()?;
    let duration = Duration::from_secs_f64(settings.duration_s);
    let rate = settings.rate / batch as f64;
    let outcome = open_loop(server.address, rate, duration, settings.connections, request).await?;
    let waiting = Instant::now();
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
        stored: {
            let stored = stored.lock();
            Quantiles { p50: quantile_ms(&stored, 0.5), p99: quantile_ms(&stored, 0.99), samples: stored.len() }
        },
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

/// Waits until event `k`, which was accepted just now, is in its person's history, that is in the store.
async fn until_stored(
    client: &mut Client,
    run: &str,
    k: u64,
    people: u64,
    stored: &Mutex<Histogram<u64>>,
) -> Result<()> {
    let began = Instant::now();
    let (path, id) = (format!("/v1/users/{run}-{}/history?limit=3", k % people), format!("\"{run}-{k}\""));
    loop {
        let (_, body) = client.get(&path).await?;
        if String::from_utf8_lossy(&body).contains(&id) {
            stored.lock().saturating_record(began.elapsed().as_micros() as u64);
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(30), "event {id} was accepted and is not stored after 30 s");
        tokio::time::sleep(LOOK_EVERY).await;
    }
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
