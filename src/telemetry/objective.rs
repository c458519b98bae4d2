//! How soon feeds have to reflect events, and whether they did over the last while.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use foryou_actors::histogram::Spread;
use parking_lot::Mutex;

use super::Histogram;
use crate::config;

/// Fewer events than this say nothing of a 99th percentile.
const TOO_FEW: u64 = 20;

/// The objective: of 100 events, 99 are reflected within a limit, over a window that moves.
pub struct Objective {
    delay: Histogram,
    limit: Duration,
    window: Duration,
    /// What had been counted at each second of the window, oldest first.
    counted: Mutex<VecDeque<(Instant, Spread)>>,
    broken: AtomicBool,
}

impl Objective {
    /// As configured, for what `delay` counts.
    pub fn new(settings: &config::Console, delay: Histogram) -> Self {
        Self {
            delay,
            limit: settings.freshness_objective_ms.millis(),
            window: settings.freshness_window_s.seconds(),
            counted: Mutex::default(),
            broken: AtomicBool::new(false),
        }
    }

    /// Moves the window on. Call it every second; it logs when the objective is broken, and when it is kept again.
    pub fn note(&self) {
        let now = Instant::now();
        let mut counted = self.counted.lock();
        // Of those that are old enough the latest is where the window begins.
        while counted.get(1).is_some_and(|(at, _)| now - *at >= self.window) {
            counted.pop_front();
        }
        counted.push_back((now, self.delay.spread()));
        drop(counted);
        let broken = self.broken();
        let (was, limit_ms) = (self.broken.swap(broken.is_some(), Relaxed), self.limit.as_millis() as u64);
        match broken {
            Some(p99) if !was => {
                tracing::warn!(
                    p99_ms = p99.as_millis() as u64,
                    limit_ms,
                    "feeds reflect events later than they have to"
                );
            }
            None if was => tracing::info!(limit_ms, "feeds reflect events as soon as they have to again"),
            _ => {}
        }
    }

    /// What was counted within the window.
    pub fn within(&self) -> Spread {
        let spread = self.delay.spread();
        let counted = self.counted.lock();
        counted.front().map_or_else(|| spread.clone(), |(_, then)| spread.since(then))
    }

    /// The 99th percentile within the window, where that is above the limit.
    pub fn broken(&self) -> Option<Duration> {
        let within = self.within();
        let p99 = Duration::from_secs_f64(within.quantile(0.99).filter(|_| within.count() >= TOO_FEW)?);
        (p99 > self.limit).then_some(p99)
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The length of the window.
    pub fn window(&self) -> Duration {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_broken_by_many_late_events_and_kept_without_any() {
        let delay = Histogram::default();
        let objective = Objective::new(&config::Console::default(), delay.clone());
        objective.note();
        assert_eq!(objective.broken(), None);
        (0..TOO_FEW).for_each(|_| delay.observe(Duration::from_secs(1)));
        assert!(objective.broken().unwrap() > objective.limit());
        (0..100 * TOO_FEW).for_each(|_| delay.observe(Duration::from_millis(1)));
        objective.note();
        assert_eq!(objective.broken(), None);
    }
}
