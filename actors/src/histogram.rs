//! How long things took, counted by buckets: recorded without a lock, read back for any window as a difference.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts durations by bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds_s: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Upper bounds of the buckets, seconds, ascending; what is longer goes into one more.
    pub fn new(bounds_s: &'static [f64]) -> Self {
        let counts = (0..=bounds_s.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds_s, counts, sum_ns: AtomicU64::new(0) }
    }

    /// Counts one duration.
    pub fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds_s.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Everything counted so far.
    pub fn spread(&self) -> Spread {
        Spread {
            bounds_s: self.bounds_s,
            counts: self.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum_s: self.sum_ns.load(Relaxed) as f64 / 1e9,
        }
    }
}

/// Durations by bucket, as of some moment or between two.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Upper bounds, seconds.
    pub bounds_s: &'static [f64],
    /// One more than bounds: the last for what is longer than all of them.
    pub counts: Vec<u64>,
    /// All durations together, seconds.
    pub sum_s: f64,
}

impl Spread {
    /// How many durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What came after an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then));
        Self { bounds_s: self.bounds_s, counts: counts.collect(), sum_s: (self.sum_s - earlier.sum_s).max(0.0) }
    }

    /// The `q`-quantile, seconds, evenly spread within its bucket as Prometheus' `histogram_quantile` has it; `None` where nothing
    /// was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = q * count as f64;
        let mut below = 0;
        for (bucket, here) in self.counts.iter().enumerate().filter(|(_, here)| **here > 0) {
            if (below + here) as f64 >= rank {
                let low = if bucket == 0 { 0.0 } else { self.bounds_s.get(bucket - 1).copied()? };
                let Some(high) = self.bounds_s.get(bucket) else { return Some(low) };
                return Some(low + (high - low) * (rank - below as f64).max(0.0) / *here as f64);
            }
            below += here;
        }
        None
    }

    /// The same with every `n`-th bound only, from the first one on, and the last one in any case.
    #[must_use]
    pub fn coarser(&self, n: usize) -> Coarse {
        let (mut bounds_s, mut counts, mut below) = (Vec::new(), Vec::new(), 0);
        for (place, (bound, count)) in self.bounds_s.iter().zip(&self.counts).enumerate() {
            below += count;
            if place % n.max(1) == 0 || place + 1 == self.bounds_s.len() {
                bounds_s.push(*bound);
                counts.push(std::mem::take(&mut below));
            }
        }
        counts.push(self.counts.iter().skip(self.bounds_s.len()).sum());
        Coarse { bounds_s, counts, sum_s: self.sum_s }
    }

    /// How many took longer than `limit_s`, where that is a bound; else than the bound above it.
    pub fn above(&self, limit_s: f64) -> u64 {
        let bucket = self.bounds_s.partition_point(|bound| *bound < limit_s);
        self.counts.iter().skip(bucket + 1).sum()
    }
}

/// A [`Spread`] with fewer bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Coarse {
    /// Upper bounds, seconds.
    pub bounds_s: Vec<f64>,
    /// One more than bounds.
    pub counts: Vec<u64>,
    /// All durations together, seconds.
    pub sum_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 3] = [0.001, 0.01, 0.1];

    #[test]
    fn quantiles_are_within_their_bucket_and_windows_are_differences() {
        let histogram = Histogram::new(&BOUNDS);
        assert_eq!(histogram.spread().quantile(0.5), None);
        (0..10).for_each(|_| histogram.record(Duration::from_millis(5)));
        let first = histogram.spread();
        assert!((first.quantile(0.5).unwrap() - 0.0055).abs() < 1e-9);
        (0..10).for_each(|_| histogram.record(Duration::from_secs(3)));
        let window = histogram.spread().since(&first);
        assert_eq!((window.count(), window.quantile(0.5)), (10, Some(0.1)));
        assert!((window.sum_s - 30.0).abs() < 1e-6);
        let coarse = histogram.spread().coarser(2);
        assert_eq!((coarse.bounds_s, coarse.counts), (vec![0.001, 0.1], vec![0, 10, 10]));
        assert_eq!((histogram.spread().above(0.1), histogram.spread().above(0.01), first.above(0.001)), (10, 10, 10));
    }
}
