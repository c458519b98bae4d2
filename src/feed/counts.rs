//! What is counted of each feed. The handles are fetched once: counting takes no lock and makes no label.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
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
/// How many different reasons are kept word for word.
const REASONS: usize = 64;

/// The counters of the feed.
pub struct Counts {
    /// Whole feeds, from the request's arrival to the answer.
    pub whole: Histogram,
    /// Feeds in which anything fell back.
    pub degraded_feeds: Counter,
    /// Videos of all feeds.
    pub items: Counter,
    /// Of these, in slots that exploration gave away.
    pub explored: Counter,
    /// Distinct categories, and distinct creators, summed over feeds.
    pub categories: Counter,
    /// See `categories`.
    pub creators: Counter,
    /// Time by stage.
    pub stages: Vec<(&'static str, Histogram)>,
    /// By source: its name, what it found, how often it overran, what of it was served.
    pub sources: Vec<SourceCounts>,
    /// What each filter removed.
    pub filters: Vec<(&'static str, Counter)>,
    /// How often each stage or source fell back.
    pub degraded: Vec<(&'static str, Counter)>,
    reasons: Mutex<HashMap<String, Reason>>,
}

/// The counters of one source.
pub struct SourceCounts {
    /// Its name.
    pub name: &'static str,
    /// Videos that it brought.
    pub found: Counter,
    /// Feeds in which it took longer than it may.
    pub overran: Counter,
    /// Videos of feeds that it found first.
    pub served: Counter,
}

/// Why feeds fell back.
#[derive(Debug, Clone, Copy)]
pub struct Reason {
    /// How often.
    pub count: u64,
    /// When last.
    pub last: SystemTime,
}

impl Counts {
    /// Fetches the handles; every name shows in the metrics from now on.
    pub fn new(metrics: &Metrics) -> Self {
        let sources = SourceKind::ALL.map(SourceKind::name);
        let source = |name| SourceCounts {
            name,
            found: metrics.candidates(name),
            overran: metrics.overran(name),
            served: metrics.served(name),
        };
        Self {
            whole: metrics.latency("feed_seconds", "Feeds, from the request's arrival to the answer"),
            degraded_feeds: metrics.counter("feed_degraded_feeds", "Feeds in which anything fell back"),
            items: metrics.counter("feed_items", "Videos of all feeds"),
            explored: metrics.counter("feed_explored", "Videos of feeds in slots that exploration gave away"),
            categories: metrics.counter("feed_categories", "Distinct categories of each feed, summed"),
            creators: metrics.counter("feed_creators", "Distinct creators of each feed, summed"),
            stages: Stage::ALL.map(|stage| (stage.name(), metrics.stage(stage.name()))).into(),
            sources: sources.map(source).into(),
            filters: FILTERS.iter().map(|filter| (filter.name, metrics.removed(filter.name))).collect(),
            degraded: STAGES.into_iter().chain(sources).map(|name| (name, metrics.degraded(name))).collect(),
            reasons: Mutex::default(),
        }
    }

    /// Counts a feed: `session` is the stopwatch before the pipeline, `answer` what came after it.
    pub fn feed(&self, session: &StageTimes, made: &Made, answer: Duration, degraded: &[String]) {
        self.whole.observe(session.since_start());
        let laps = session.laps().chain(made.times.laps()).chain([(Stage::Answer, answer)]);
        for (stage, took) in laps.filter(|(_, took)| !took.is_zero()) {
            self.stages[stage as usize].1.observe(took);
        }
        for source in &self.sources {
            let brought =
                made.found.iter().filter(|(kind, _)| kind.name() == source.name).map(|(_, n)| *n as u64).sum();
            source.found.inc_by(brought);
            source.overran.inc_by(made.overran.iter().filter(|name| **name == source.name).count() as u64);
            let served = made.items.iter().filter(|item| item.source() == source.name);
            source.served.inc_by(served.count() as u64);
        }
        for (name, removed) in &self.filters {
            removed.inc_by(made.removed.iter().filter(|(_, filter)| filter == name).count() as u64);
        }
        self.variety(made);
        self.degraded(degraded);
    }

    fn variety(&self, made: &Made) {
        let distinct = |key: fn(&super::candidate::Candidate) -> u32| {
            made.items.iter().map(key).collect::<HashSet<u32>>().len() as u64
        };
        self.items.inc_by(made.items.len() as u64);
        self.explored.inc_by(made.items.iter().filter(|item| item.explore).count() as u64);
        self.categories.inc_by(distinct(|item| item.entry.category));
        self.creators.inc_by(distinct(|item| item.entry.creator));
    }

    fn degraded(&self, degraded: &[String]) {
        if degraded.is_empty() {
            return;
        }
        self.degraded_feeds.inc();
        for (name, counter) in &self.degraded {
            let fell_back = |reason: &&String| reason.split(':').next() == Some(name);
            counter.inc_by(degraded.iter().filter(fell_back).count() as u64);
        }
        let mut reasons = self.reasons.lock();
        for reason in degraded {
            if !reasons.contains_key(reason) && reasons.len() >= REASONS {
                let oldest = reasons.iter().min_by_key(|(_, reason)| reason.last).map(|(text, _)| text.clone());
                oldest.and_then(|oldest| reasons.remove(&oldest));
            }
            let known = reasons.entry(reason.clone()).or_insert(Reason { count: 0, last: SystemTime::UNIX_EPOCH });
            (known.count, known.last) = (known.count + 1, SystemTime::now());
        }
    }

    /// The reasons why feeds fell back lately, word for word, the most frequent first.
    pub fn reasons(&self) -> Vec<(String, Reason)> {
        let mut reasons: Vec<_> = self.reasons.lock().iter().map(|(text, reason)| (text.clone(), *reason)).collect();
        reasons.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
        reasons
    }
}
