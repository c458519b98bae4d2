//! What is counted of each feed. The handles are fetched once: counting takes no lock and makes no label.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::{
    filters::FILTERS,
    pipeline::Made,
    sources::SourceKind,
    stages::{Stage, StageTimes},
};
use crate::telemetry::{Histogram, Metrics};

/// Beside the sources, what can fall back: the words before the colon in `degraded`.
const STAGES: [&str; 7] = ["owner", "after", "session", "models", "user_tower", "features", "ranker"];

/// The counters of the feed.
pub struct Counts {
    stages: Vec<Histogram>,
    sources: Vec<(&'static str, Counter, Counter)>,
    filters: Vec<(&'static str, Counter)>,
    degraded: Vec<(&'static str, Counter)>,
}

impl Counts {
    /// Fetches the handles; every name shows in the metrics from now on.
    pub fn new(metrics: &Metrics) -> Self {
        let sources = SourceKind::ALL.map(SourceKind::name);
        Self {
            stages: Stage::ALL.map(|stage| metrics.stage(stage.name())).into(),
            sources: sources.map(|name| (name, metrics.candidates(name), metrics.overran(name))).into(),
            filters: FILTERS.iter().map(|filter| (filter.name, metrics.removed(filter.name))).collect(),
            degraded: STAGES.into_iter().chain(sources).map(|name| (name, metrics.degraded(name))).collect(),
        }
    }

    /// Counts a feed: `session` is the stopwatch before the pipeline, `answer` what came after it.
    pub fn feed(&self, session: &StageTimes, made: &Made, answer: Duration, degraded: &[String]) {
        let laps = session.laps().chain(made.times.laps()).chain([(Stage::Answer, answer)]);
        for (stage, took) in laps.filter(|(_, took)| !took.is_zero()) {
            self.stages[stage as usize].observe(took);
        }
        for (name, found, overran) in &self.sources {
            let brought = made.found.iter().filter(|(kind, _)| kind.name() == *name).map(|(_, n)| *n as u64).sum();
            found.inc_by(brought);
            overran.inc_by(made.overran.iter().filter(|source| *source == name).count() as u64);
        }
        for (name, removed) in &self.filters {
            removed.inc_by(made.removed.iter().filter(|(_, filter)| filter == name).count() as u64);
        }
        for (name, counter) in &self.degraded {
            let fell_back = |reason: &&String| reason.split(':').next() == Some(name);
            counter.inc_by(degraded.iter().filter(fell_back).count() as u64);
        }
    }
}
