//! What is not as it should be: said in words, with the page where one looks next.

use std::{collections::VecDeque, time::Duration};

use foryou_actors::{
    histogram::Spread,
    services::status::{Probe, ServiceState},
};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use crate::{app::App, telemetry::Histogram};

/// A queue this full is worth a word.
const NEARLY_FULL: f64 = 0.8;
/// Fewer events than this say nothing of a 99th percentile.
const TOO_FEW: u64 = 20;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Names it, so that it is told apart from others.
    pub id: String,
    /// `bad`: people feel it; `warn`: they may soon.
    pub level: &'static str,
    /// What is so.
    pub text: String,
    /// The console's page about it.
    pub page: &'static str,
}

/// Remembers what the alarms are judged by.
pub struct Alarms {
    freshness: Histogram,
    objective_s: f64,
    window: Duration,
    /// What was counted at each second of the window, oldest first.
    counted: Mutex<VecDeque<(Instant, Spread)>>,
}

impl Alarms {
    /// As configured.
    pub fn new(app: &App) -> Self {
        let settings = &app.config.console;
        Self {
            freshness: app.feeds.freshness.delay().clone(),
            objective_s: settings.freshness_objective_ms.millis().as_secs_f64(),
            window: settings.freshness_window_s.seconds(),
            counted: Mutex::default(),
        }
    }

    /// Everything that is not as it should be now.
    pub fn raised(&self, app: &App) -> Vec<Alarm> {
        let mut alarms: Vec<Alarm> = app.supervisor.probes().iter().filter_map(down).collect();
        let engines = [("store", "/admin/store", app.store.trouble()), ("bus", "/admin/queues", app.bus.trouble())];
        for (name, page, trouble) in engines {
            alarms.extend(trouble.map(|trouble| Alarm {
                id: name.into(),
                level: "bad",
                text: format!("{name}: {trouble}"),
                page,
            }));
        }
        alarms.extend(self.stale());
        alarms.extend(app.supervisor.probes().iter().flat_map(full));
        let depth = app.gauges.bus_depth() / app.config.bus.max_depth.get() as f64;
        if depth >= NEARLY_FULL {
            let text = format!("the bus is {:.0} % full; above 100 % events are refused", depth * 100.0);
            alarms.push(Alarm { id: "bus-depth".into(), level: "warn", text, page: "/admin/queues" });
        }
        alarms
    }

    /// The objective of freshness, judged over the window.
    fn stale(&self) -> Option<Alarm> {
        let (now, spread) = (Instant::now(), self.freshness.spread());
        let mut counted = self.counted.lock();
        // Of those that are old enough the latest is where the window begins.
        while counted.get(1).is_some_and(|(at, _)| now - *at >= self.window) {
            counted.pop_front();
        }
        let within = counted.front().map_or_else(|| spread.since(&spread), |(_, then)| spread.since(then));
        counted.push_back((now, spread));
        let p99_s = within.quantile(0.99).filter(|_| within.count() >= TOO_FEW)?;
        (p99_s > self.objective_s).then(|| Alarm {
            id: "freshness".into(),
            level: "bad",
            text: format!(
                "feeds are behind: 99 of 100 events were reflected within {:.0} ms over the last {} s, the objective is {:.0} ms",
                p99_s * 1e3,
                self.window.as_secs(),
                self.objective_s * 1e3
            ),
            page: "/admin/freshness",
        })
    }
}

fn down(probe: &Probe) -> Option<Alarm> {
    let (level, says) = match probe.state() {
        ServiceState::Running => return None,
        ServiceState::Failed => ("bad", "failed too often and stays down"),
        ServiceState::Restarting => ("bad", "failed and starts again"),
        ServiceState::Starting => ("warn", "is starting"),
        ServiceState::Stopping | ServiceState::Stopped => ("warn", "is stopping"),
    };
    let error = probe.last_error().map_or(String::new(), |error| format!(": {error}"));
    let text = format!("{} {says}{error}", probe.name());
    Some(Alarm { id: format!("service-{}", probe.name()), level, text, page: "/admin/actors" })
}

fn full(probe: &Probe) -> Vec<Alarm> {
    let full = probe
        .queues()
        .into_iter()
        .filter(|(_, queue)| queue.capacity > 0 && queue.depth as f64 >= NEARLY_FULL * queue.capacity as f64);
    let alarm = |(name, queue): (&str, foryou_actors::services::status::QueueStatus)| Alarm {
        id: format!("queue-{}-{name}", probe.name()),
        level: "warn",
        text: format!(
            "{}: {} of {} places in its queue of {name} are taken",
            probe.name(),
            queue.depth,
            queue.capacity
        ),
        page: "/admin/actors",
    };
    full.map(alarm).collect()
}
