//! Open-loop load: arrivals on schedule, latency from the scheduled start.

use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};

use super::client::Client;

/// What a load did.
pub struct Outcome {
    /// Latencies in microseconds, from the scheduled start.
    pub latency: Histogram<u64>,
    /// Requests that were answered as wanted.
    pub done: u64,
    /// Requests that were not.
    pub errors: u64,
    /// Whatever the requests count beside (see [`Hit::marks`]).
    pub marks: u64,
    /// From the first scheduled start to the last answer, seconds.
    pub seconds: f64,
}

/// What one request found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hit {
    /// Whether it was answered as wanted.
    pub ok: bool,
    /// Something to count: degraded feeds, missed events.
    pub marks: u64,
}

/// Sends `rate` requests per second for `duration`, over `connections` connections; `request(client, n)` does the `n`-th.
///
/// When all connections are busy, arrivals queue, and their wait counts as latency.
pub async fn open_loop<F, R>(
    to: SocketAddr,
    rate: f64,
    duration: Duration,
    connections: usize,
    request: F,
) -> Result<Outcome>
where
    F: Fn(Client, u64) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = (Client, Result<Hit>)> + Send,
{
    let total = (rate * duration.as_secs_f64()).round() as u64;
    let (arrivals, queue) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (queue, request) = (queue.clone(), request.clone());
        let mut client = Client::connect(to).await?;
        workers.push(tokio::spawn(async move {
            let mut outcome = Outcome { latency: histogram(), done: 0, errors: 0, marks: 0, seconds: 0.0 };
            loop {
                let next: Option<(u64, Instant)> = queue.lock().await.recv().await;
                let Some((n, scheduled)) = next else { return outcome };
                let (back, result) = request(client, n).await;
                client = back;
                let hit = result.unwrap_or_default();
                outcome.latency.saturating_record(scheduled.elapsed().as_micros() as u64);
                outcome.done += u64::from(hit.ok);
                outcome.errors += u64::from(!hit.ok);
                outcome.marks += hit.marks;
            }
        }));
    }
    let start = Instant::now() + Duration::from_millis(50);
    // A thread of its own: the runtime's timer has a resolution of a millisecond, the kernel's of some 50 µs.
    let pacer = std::thread::spawn(move || {
        for n in 0..total {
            let scheduled = start + Duration::from_secs_f64(n as f64 / rate);
            std::thread::sleep(scheduled.saturating_duration_since(Instant::now()));
            if arrivals.send((n, scheduled)).is_err() {
                return;
            }
        }
    });
    let mut all = Outcome { latency: histogram(), done: 0, errors: 0, marks: 0, seconds: 0.0 };
    for worker in workers {
        let one = worker.await?;
        all.latency.add(&one.latency)?;
        all.done += one.done;
        all.errors += one.errors;
        all.marks += one.marks;
    }
    all.seconds = start.elapsed().as_secs_f64();
    let _ = pacer.join();
    Ok(all)
}

/// A latency histogram in microseconds, up to a minute, three digits.
pub fn histogram() -> Histogram<u64> {
    // The bounds are constants within what the crate takes.
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| unreachable!())
}

/// A quantile in milliseconds.
pub fn quantile_ms(histogram: &Histogram<u64>, q: f64) -> f64 {
    histogram.value_at_quantile(q) as f64 / 1e3
}
