//! Counters, gauges and latency histograms, read as Prometheus text.

use std::{sync::Mutex, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};

use super::histogram::{Histogram, Latency};

type Label = [(&'static str, &'static str); 1];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// Every metric of this process. Components ask once for what they count and keep the handle.
///
/// Names come without prefix (`foryou_` is added), and without `_total` or a unit's suffix for counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RouteLabels, Histogram, Latency>,
    stages: Family<Label, Histogram, Latency>,
    degraded: Family<Label, Counter>,
    candidates: Family<Label, Counter>,
    removed: Family<Label, Counter>,
    overran: Family<Label, Counter>,
    forwards: Family<Label, Histogram, Latency>,
    answers: Family<Label, Counter>,
    served: Family<Label, Counter>,
    store: Family<Label, Histogram, Latency>,
    store_failed: Family<Label, Counter>,
    events: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    pushes: Family<Label, Counter>,
    sockets_closed: Family<Label, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("foryou");
        let requests = Family::new_with_constructor(Latency);
        let stages = Family::new_with_constructor(Latency);
        let (degraded, candidates) = (Family::default(), Family::default());
        let (removed, overran, refused) = (Family::default(), Family::default(), Family::default());
        let forwards = Family::new_with_constructor(Latency);
        registry.register("http_request_seconds", "Requests by route and status", requests.clone());
        let (answers, served) = (Family::default(), Family::default());
        let store = Family::new_with_constructor(Latency);
        let (store_failed, events) = (Family::default(), Family::default());
        registry.register("store_seconds", "Questions to the feature store, by kind", store.clone());
        registry.register(
            "store_failed",
            "Questions that the feature store did not answer, by kind",
            store_failed.clone(),
        );
        registry.register("events", "Events that came over HTTP, by what became of them", events.clone());
        registry.register("http_answers", "Requests by the class of their status", answers.clone());
        registry.register("feed_served", "Videos of feeds, by the source that found them first", served.clone());
        registry.register("feed_stage_seconds", "Time that a feed spent in each stage", stages.clone());
        registry.register("feed_degraded", "Feeds in which a stage fell back, by stage", degraded.clone());
        registry.register("feed_candidates", "Videos that each source brought", candidates.clone());
        registry.register("feed_removed", "Videos that each filter removed", removed.clone());
        registry.register("feed_overran", "Feeds in which a source took longer than it may", overran.clone());
        registry.register("forward_seconds", "Requests passed on to another node, by outcome", forwards.clone());
        registry.register("access_refused", "Requests that were not let in, by reason", refused.clone());
        let (pushes, sockets_closed) = (Family::default(), Family::default());
        registry.register(
            "feed_socket_pushes",
            "Tails sent over feed sockets, by what they were sent for",
            pushes.clone(),
        );
        registry.register("feed_sockets_closed", "Feed sockets that ended, by reason", sockets_closed.clone());
        Self {
            registry: Mutex::new(registry),
            requests,
            stages,
            degraded,
            candidates,
            removed,
            overran,
            forwards,
            answers,
            served,
            store,
            store_failed,
            events,
            refused,
            pushes,
            sockets_closed,
        }
    }
}

impl Metrics {
    /// Counts a request. `route` is the pattern, never the path: paths hold ids, and their number is not bounded.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = RouteLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).observe(took);
        self.answers.get_or_create(&[("class", class(status))]).inc();
    }

    /// The histogram of one stage of the feed.
    pub fn stage(&self, stage: &'static str) -> Histogram {
        self.stages.get_or_create_owned(&[("stage", stage)])
    }

    /// How often one stage of the feed fell back.
    pub fn degraded(&self, stage: &'static str) -> Counter {
        self.degraded.get_or_create_owned(&[("stage", stage)])
    }

    /// How many videos one source brought.
    pub fn candidates(&self, source: &'static str) -> Counter {
        self.candidates.get_or_create_owned(&[("source", source)])
    }

    /// How many videos one filter removed.
    pub fn removed(&self, filter: &'static str) -> Counter {
        self.removed.get_or_create_owned(&[("filter", filter)])
    }

    /// How often one source took longer than it may.
    pub fn overran(&self, source: &'static str) -> Counter {
        self.overran.get_or_create_owned(&[("source", source)])
    }

    /// The histogram of requests that were passed on to another node, with one outcome.
    pub fn forward(&self, outcome: &'static str) -> Histogram {
        self.forwards.get_or_create_owned(&[("outcome", outcome)])
    }

    /// How often requests were not let in for one reason.
    pub fn refused(&self, reason: &'static str) -> Counter {
        self.refused.get_or_create_owned(&[("reason", reason)])
    }

    /// How many tails were sent over feed sockets for one cause.
    pub fn pushes(&self, cause: &'static str) -> Counter {
        self.pushes.get_or_create_owned(&[("cause", cause)])
    }

    /// How many feed sockets ended for one reason.
    pub fn sockets_closed(&self, reason: &'static str) -> Counter {
        self.sockets_closed.get_or_create_owned(&[("reason", reason)])
    }

    /// A new counter.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.with(|registry| registry.register(name, help, counter.clone()));
        counter
    }

    /// A new histogram of durations; `name` ends in `_seconds`.
    pub fn latency(&self, name: &str, help: &str) -> Histogram {
        let histogram = Histogram::default();
        self.with(|registry| registry.register(name, help, histogram.clone()));
        histogram
    }

    /// A gauge that is read when somebody looks. `read` must not block.
    pub fn observed(&self, name: &'static str, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        let gauge = Observed { name, help, read: Box::new(read) };
        self.with(|registry| registry.register_collector(Box::new(gauge)));
    }

    /// Figures that are gathered when somebody looks. It must not block.
    pub fn collected(&self, collector: impl Collector) {
        self.with(|registry| registry.register_collector(Box::new(collector)));
    }

    /// How many requests were answered, by the first digit of their status.
    pub fn answers(&self, class: &'static str) -> Counter {
        self.answers.get_or_create_owned(&[("class", class)])
    }

    /// The histogram of one kind of question to the feature store.
    pub fn store(&self, operation: &'static str) -> Histogram {
        self.store.get_or_create_owned(&[("operation", operation)])
    }

    /// How often the feature store failed to answer one kind of question.
    pub fn store_failed(&self, operation: &'static str) -> Counter {
        self.store_failed.get_or_create_owned(&[("operation", operation)])
    }

    /// How many events that came over HTTP ended one way.
    pub fn events(&self, status: &'static str) -> Counter {
        self.events.get_or_create_owned(&[("status", status)])
    }

    /// How many videos of feeds came from one source.
    pub fn served(&self, source: &'static str) -> Counter {
        self.served.get_or_create_owned(&[("source", source)])
    }

    /// Everything, as Prometheus text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        self.with(|registry| text::encode(&mut out, registry))?;
        Ok(out)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        // A panic while the registry was held leaves nothing half done that would matter to a reader.
        act(&mut self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// The classes of [`Metrics::answers`].
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

fn class(status: u16) -> &'static str {
    CLASSES[usize::from(status / 100).clamp(2, 5) - 2]
}

struct Observed {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new((self.read)());
        let metric = encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read_as_text() {
        let metrics = Metrics::default();
        metrics.request("GET", "/v1/users/{id}", 200, Duration::from_micros(700));
        metrics.stage("ranker").observe(Duration::from_millis(2));
        metrics.degraded("ranker").inc();
        metrics.counter("imported", "Imported things").inc_by(3);
        metrics.observed("sessions", "Resident sessions", || 7.0);
        let text = metrics.encode().unwrap();
        for line in [
            r#"foryou_http_request_seconds_count{method="GET",route="/v1/users/{id}",status="200"} 1"#,
            r#"foryou_http_request_seconds_bucket{le="0.0005",method="GET",route="/v1/users/{id}",status="200"} 0"#,
            r#"foryou_feed_stage_seconds_count{stage="ranker"} 1"#,
            r#"foryou_feed_stage_seconds_bucket{le="+Inf",stage="ranker"} 1"#,
            r#"foryou_feed_degraded_total{stage="ranker"} 1"#,
            "foryou_imported_total 3",
            "foryou_sessions 7.0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
