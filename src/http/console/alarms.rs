//! What is not as it should be: said in words, with the page where one looks next.

use foryou_actors::services::status::{Probe, QueueStatus, ServiceState};
use serde::Serialize;

use crate::app::App;

/// A queue this full is worth a word.
const NEARLY_FULL: f64 = 0.8;

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

/// Everything that is not as it should be now.
pub fn raised(app: &App) -> Vec<Alarm> {
    let probes = app.supervisor.probes();
    let mut alarms: Vec<Alarm> = probes.iter().filter_map(down).collect();
    let engines = [("store", "/admin/store", app.store.trouble()), ("bus", "/admin/queues", app.bus.trouble())];
    for (name, page, trouble) in engines {
        let alarm = |trouble| Alarm { id: name.into(), level: "bad", text: format!("{name}: {trouble}"), page };
        alarms.extend(trouble.map(alarm));
    }
    alarms.extend(app.objective.broken().map(|p99| Alarm {
        id: "freshness".into(),
        level: "bad",
        text: format!(
            "feeds are behind: 99 of 100 events took up to {:.0} ms to be reflected, over the last {} s; the objective is {:.0} ms",
            p99.as_secs_f64() * 1e3,
            app.objective.window().as_secs(),
            app.objective.limit().as_secs_f64() * 1e3
        ),
        page: "/admin/freshness",
    }));
    alarms.extend(probes.iter().flat_map(full));
    let depth = app.gauges.bus_depth() / f64::from(app.config.bus.max_depth.get());
    if depth >= NEARLY_FULL {
        let text = format!("the bus is {:.0} % full; when it is full, events are refused", depth * 100.0);
        alarms.push(Alarm { id: "bus-depth".into(), level: "warn", text, page: "/admin/queues" });
    }
    alarms
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
    let alarm = |(name, queue): (&str, QueueStatus)| Alarm {
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
