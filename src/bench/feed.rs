//! `bench feed`: feeds per second of people with histories, over a catalogue of a given size.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::Serialize;

use super::{
    load::{Hit, open_loop, quantile_ms},
    report::{Head, Target},
    server::Server,
};

/// Settings.
#[derive(Debug, Clone, Serialize)]
pub struct FeedBench {
    /// Feeds asked for per second.
    pub rate: f64,
    /// For how long, after a tenth of it as warm-up.
    pub duration_s: f64,
    /// Items of a feed.
    pub limit: usize,
    /// Connections; more arrivals at once queue.
    pub connections: usize,
    /// What it runs against.
    pub target: Target,
}

/// What came out; see the contract, section 5.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract says it")]
pub struct FeedReport {
    #[serde(flatten)]
    pub head: Head,
    pub settings: FeedBench,
    pub rate_asked: f64,
    pub rate_done: f64,
    pub errors: u64,
    pub degraded: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
    pub cpu_ms_per_request: f64,
    pub stages: BTreeMap<String, StageReport>,
}

/// One stage, from the server's own histograms.
#[derive(Debug, Default, Serialize)]
pub struct StageReport {
    /// Median, ms.
    pub p50: f64,
    /// 99th percentile, ms.
    pub p99: f64,
    /// Its share of the time of all stages.
    pub cpu_share: f64,
}

/// Runs it.
pub async fn run(settings: FeedBench) -> Result<FeedReport> {
    let began = Instant::now();
    let server = Server::start(&settings.target).await?;
    let users = Arc::new(server.users.clone());
    let limit = settings.limit;
    let request = move |mut client: super::client::Client, n: u64| {
        let users = users.clone();
        async move {
            // A stride that meets everybody before anybody twice.
            let user = &users[(n.wrapping_mul(7_919) % users.len() as u64) as usize];
            let answer = client.get(&format!("/v1/users/{user}/feed?limit={limit}")).await;
            let hit = answer.map(|(status, body)| Hit {
                ok: status.is_success(),
                marks: u64::from(!contains(&body, b"\"degraded\":[]")),
            });
            (client, hit)
        }
    };
    let warm_up = Duration::from_secs_f64(settings.duration_s / 10.0);
    open_loop(server.address, settings.rate, warm_up, settings.connections, request.clone()).await?;
    let (cpu, before) = (server.cpu_s()?, server.metrics().await?);
    let duration = Duration::from_secs_f64(settings.duration_s);
    let outcome = open_loop(server.address, settings.rate, duration, settings.connections, request).await?;
    let cpu = server.cpu_s()? - cpu;
    let stages = stages(&before, &server.metrics().await?);
    let requests = (outcome.done + outcome.errors).max(1) as f64;
    Ok(FeedReport {
        rate_asked: settings.rate,
        rate_done: outcome.done as f64 / outcome.seconds,
        errors: outcome.errors,
        degraded: outcome.marks,
        p50: quantile_ms(&outcome.latency, 0.5),
        p90: quantile_ms(&outcome.latency, 0.9),
        p99: quantile_ms(&outcome.latency, 0.99),
        max: outcome.latency.max() as f64 / 1e3,
        cpu_ms_per_request: cpu * 1e3 / requests,
        stages,
        head: Head::new("feed", began, server.onnxruntime()),
        settings,
    })
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|w| w == text)
}

/// The difference of two metric pages, per stage of `foryou_feed_stage_seconds`.
fn stages(before: &str, after: &str) -> BTreeMap<String, StageReport> {
    let (before, after) = (histograms(before), histograms(after));
    let mut out = BTreeMap::new();
    let mut sums = BTreeMap::new();
    for (stage, now) in &after {
        let earlier = before.get(stage);
        let since = |bound: &Bound| {
            let was = earlier.and_then(|e| e.buckets.iter().find(|b| b.le == bound.le)).map_or(0.0, |b| b.count);
            Bound { le: bound.le, count: bound.count - was }
        };
        let buckets: Vec<Bound> = now.buckets.iter().map(since).collect();
        sums.insert(stage.clone(), now.sum - earlier.map_or(0.0, |e| e.sum));
        out.insert(
            stage.clone(),
            StageReport { p50: within(&buckets, 0.5) * 1e3, p99: within(&buckets, 0.99) * 1e3, cpu_share: 0.0 },
        );
    }
    let total: f64 = sums.values().sum::<f64>().max(f64::MIN_POSITIVE);
    for (stage, report) in &mut out {
        report.cpu_share = sums.get(stage).copied().unwrap_or(0.0) / total;
    }
    out
}

#[derive(Default)]
struct Buckets {
    buckets: Vec<Bound>,
    sum: f64,
}

struct Bound {
    le: f64,
    count: f64,
}

fn histograms(page: &str) -> BTreeMap<String, Buckets> {
    let mut all: BTreeMap<String, Buckets> = BTreeMap::new();
    for line in page.lines().filter(|l| l.starts_with("foryou_feed_stage_seconds")) {
        let label = |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        let value = line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok());
        let (Some(stage), Some(value)) = (label("stage"), value) else { continue };
        let entry = all.entry(stage.to_owned()).or_default();
        if line.starts_with("foryou_feed_stage_seconds_sum") {
            entry.sum = value;
        } else if let Some(le) = label("le") {
            entry.buckets.push(Bound { le: le.parse().unwrap_or(f64::INFINITY), count: value });
        }
    }
    all
}

/// A quantile in seconds, interpolated inside its bucket.
fn within(buckets: &[Bound], q: f64) -> f64 {
    let total = buckets.last().map_or(0.0, |b| b.count);
    let (mut low, mut below) = (0.0, 0.0);
    for bucket in buckets {
        if bucket.count >= q * total && bucket.count > below {
            let high = if bucket.le.is_finite() { bucket.le } else { low };
            return low + (high - low) * (q * total - below) / (bucket.count - below);
        }
        (low, below) = (bucket.le, bucket.count);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_quantiles_come_from_the_difference_of_two_pages() {
        let page = |a: u32, b: u32, sum: f64| {
            format!(
                "foryou_feed_stage_seconds_bucket{{le=\"0.001\",stage=\"rank\"}} {a}\n\
                 foryou_feed_stage_seconds_bucket{{le=\"0.002\",stage=\"rank\"}} {b}\n\
                 foryou_feed_stage_seconds_bucket{{le=\"+Inf\",stage=\"rank\"}} {b}\n\
                 foryou_feed_stage_seconds_sum{{stage=\"rank\"}} {sum}\n"
            )
        };
        let report = stages(&page(10, 10, 1.0), &page(10, 110, 3.0));
        assert!((report["rank"].p50 - 1.5).abs() < 1e-9, "{report:?}");
        assert!((report["rank"].cpu_share - 1.0).abs() < 1e-9);
    }
}
