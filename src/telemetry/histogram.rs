//! The latency histogram: what `/metrics` tells and the console reads is one and the same.

use std::{sync::Arc, time::Duration};

use foryou_actors::histogram::{Histogram as Counts, Spread};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric, family::MetricConstructor},
};

/// Upper bounds of the buckets, seconds: fine where a feed and its stages should be, up to what a client waits.
const LATENCY_S: [f64; 21] = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// A histogram of durations. Cheap to clone; observing takes no lock.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Counts>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Arc::new(Counts::new(&LATENCY_S)))
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        self.0.record(took);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// Everything counted so far.
    pub fn spread(&self) -> Spread {
        self.0.spread()
    }
}

/// Makes histograms for families of them.
#[derive(Debug, Clone, Copy)]
pub struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::default()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let spread = self.spread();
        encode(spread.bounds_s, &spread.counts, spread.sum_s, encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// Writes counts by bucket as a histogram; there is one more than bounds.
pub fn encode(bounds_s: &[f64], counts: &[u64], sum_s: f64, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
    let bounds = bounds_s.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
    encoder.encode_histogram::<NoLabelSet>(sum_s, counts.iter().sum(), &buckets, None)
}
