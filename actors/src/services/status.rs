//! What can be seen of a service at any time: cheap atomics that the console, metrics and tests read.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::histogram::{Histogram, Spread};

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// It runs, but is not ready yet.
    Starting,
    /// It does its work.
    Running,
    /// It failed, and starts again after a pause.
    Restarting,
    /// It failed too often and stays down.
    Failed,
    /// It finishes what it took on.
    Stopping,
    /// It is down, as asked.
    Stopped,
}

/// A bounded queue as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// What waits.
    pub depth: usize,
    /// The most that may wait.
    pub capacity: usize,
    /// What was dropped since the process started because the queue was full.
    pub dropped: u64,
}

/// How long units of work took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Units timed.
    pub count: u64,
    /// Seconds, all together.
    pub sum_s: f64,
    /// Seconds, within 20 % of the true median.
    pub p50_s: f64,
    /// Seconds, within 20 % of the true value.
    pub p99_s: f64,
}

/// A service as of now.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub state: ServiceState,
    /// How often it was started again.
    pub restarts: u64,
    /// What went wrong last, if anything did.
    pub last_error: Option<String>,
    /// Messages (events, batches: what the service counts) since the process started.
    pub handled: u64,
    /// Time per unit of work.
    pub timing: Timing,
    /// Its queues, by name.
    pub queues: Vec<(&'static str, QueueStatus)>,
}

/// Reads a queue's figures.
pub type QueueGauge = Arc<dyn Fn() -> QueueStatus + Send + Sync>;

/// The figures of one service; they outlive its restarts.
#[derive(Clone)]
pub struct Probe(Arc<Inner>);

struct Inner {
    name: &'static str,
    state: watch::Sender<ServiceState>,
    restarts: AtomicU64,
    last_error: Mutex<Option<String>>,
    handled: AtomicU64,
    histogram: Histogram,
    queues: Vec<(&'static str, QueueGauge)>,
}

impl Probe {
    pub(super) fn new(name: &'static str, queues: Vec<(&'static str, QueueGauge)>) -> Self {
        Self(Arc::new(Inner {
            name,
            state: watch::Sender::new(ServiceState::Starting),
            restarts: AtomicU64::new(0),
            last_error: Mutex::new(None),
            handled: AtomicU64::new(0),
            histogram: Histogram::new(&*BOUNDS_S),
            queues,
        }))
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Counts a unit of work that handled `messages` in `took`.
    pub fn handled(&self, messages: u64, took: Duration) {
        self.0.handled.fetch_add(messages, Relaxed);
        self.0.histogram.record(took);
    }

    /// Notes a problem that the service copes with itself (it goes on).
    pub fn note_error(&self, error: impl std::fmt::Display) {
        *self.0.last_error.lock() = Some(error.to_string());
    }

    pub(super) fn note_restart(&self) {
        self.0.restarts.fetch_add(1, Relaxed);
    }

    pub(super) fn set_state(&self, state: ServiceState) {
        self.0.state.send_replace(state);
    }

    /// Where the service stands.
    pub fn state(&self) -> ServiceState {
        *self.0.state.borrow()
    }

    /// Waits until the state satisfies `wanted`, and returns it.
    pub async fn until(&self, wanted: impl FnMut(&ServiceState) -> bool) -> ServiceState {
        let mut changes = self.0.state.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        changes.wait_for(wanted).await.map_or(ServiceState::Stopped, |state| *state)
    }

    /// How often the service was started again.
    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Relaxed)
    }

    /// What went wrong last, if anything did.
    pub fn last_error(&self) -> Option<String> {
        self.0.last_error.lock().clone()
    }

    /// Messages since the process started.
    pub fn messages(&self) -> u64 {
        self.0.handled.load(Relaxed)
    }

    /// How long each unit of work took.
    pub fn spread(&self) -> Spread {
        self.0.histogram.spread()
    }

    /// Its queues, by name.
    pub fn queues(&self) -> Vec<(&'static str, QueueStatus)> {
        self.0.queues.iter().map(|(name, gauge)| (*name, gauge())).collect()
    }

    /// Everything at once.
    pub fn status(&self) -> ServiceStatus {
        let inner = &self.0;
        ServiceStatus {
            name: inner.name,
            state: self.state(),
            restarts: inner.restarts.load(Relaxed),
            last_error: inner.last_error.lock().clone(),
            handled: inner.handled.load(Relaxed),
            timing: timing(&inner.histogram.spread()),
            queues: self.queues(),
        }
    }
}

/// Four buckets an octave, from a microsecond up to a quarter of an hour.
static BOUNDS_S: LazyLock<[f64; 120]> = LazyLock::new(|| std::array::from_fn(|i| (i as f64 / 4.0).exp2() / 1e6));

fn timing(spread: &Spread) -> Timing {
    let quantile = |q| spread.quantile(q).unwrap_or(0.0);
    Timing { count: spread.count(), sum_s: spread.sum_s, p50_s: quantile(0.5), p99_s: quantile(0.99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_fifth() {
        let histogram = Histogram::new(&*BOUNDS_S);
        (1..=1_000).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let timing = super::timing(&histogram.spread());
        assert_eq!(timing.count, 1_000);
        assert!((0.4..0.6).contains(&timing.p50_s) && (0.8..1.2).contains(&timing.p99_s), "{timing:?}");
        assert!((timing.sum_s - 500.5).abs() < 0.01);
        assert_eq!(super::timing(&Histogram::new(&*BOUNDS_S).spread()), Timing::default());
    }
}
