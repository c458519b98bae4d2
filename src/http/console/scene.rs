//! What the observatory looks at for the console: the same counters as `/metrics`, and what watchers are told each second.

use std::sync::{Arc, Weak};

use actix_web::web::Bytes;
use foryou_actors::{histogram::Spread, services::status::Probe};

use super::{alarms::raised, status};
use crate::{
    app::App,
    config::BusKind,
    telemetry::{CLASSES, Scene, Sources, history::shown},
};

/// The scene of a running server. Holds nothing of it alive.
pub fn scene(app: &Arc<App>) -> Scene {
    let mut sources = Sources::default();
    http(&mut sources, app);
    feed(&mut sources, app);
    events(&mut sources, app);
    sessions(&mut sources, app);
    services(&mut sources, app.supervisor.probes());
    engines(&mut sources, app);
    let weak = Arc::downgrade(app);
    let tell = move |at_ms, row: &[f32]| match weak.upgrade() {
        Some(app) => tell(&app, at_ms, row),
        None => Bytes::new(),
    };
    let asked = Arc::downgrade(app);
    let prepare = move || -> futures_util::future::BoxFuture<'static, ()> {
        let app = asked.upgrade();
        Box::pin(async move {
            if let Some(app) = app {
                app.gauges.ask(&*app.bus, app.config.bus.kind == BusKind::Embedded).await;
                app.feeds.freshness.forget();
                app.objective.note();
                app.unserved.tell_rest();
            }
        })
    };
    Scene { sources, prepare: Box::new(prepare), tell: Box::new(tell) }
}

fn tell(app: &App, at_ms: i64, row: &[f32]) -> Bytes {
    let look = status::Look {
        t: at_ms,
        values: row.iter().copied().map(shown).collect(),
        services: app.supervisor.probes().iter().map(status::Service::of).collect(),
        alarms: raised(app),
        release: app.feeds.models.current().map(|serving| serving.release.manifest.id.clone()),
    };
    // Numbers and texts always turn into JSON.
    Bytes::from(format!("data: {}\n\n", serde_json::to_string(&look).unwrap_or_default()))
}

/// A reading of a part of the server; 0 once the server is gone.
fn of<T: Default, R: Fn(&App) -> T + Send + Sync>(app: &Arc<App>, read: R) -> impl Fn() -> T + Send + Sync + use<T, R> {
    let app: Weak<App> = Arc::downgrade(app);
    move || app.upgrade().map_or_else(T::default, |app| read(&app))
}

fn http(sources: &mut Sources, app: &Arc<App>) {
    for class in CLASSES {
        let answers = app.metrics.answers(class);
        sources.rate(format!("http.{class}"), move || answers.get());
    }
}

fn feed(sources: &mut Sources, app: &Arc<App>) {
    let counts = &app.feeds.counts;
    let (whole, fell_back) = (counts.whole.clone(), counts.degraded_feeds.clone());
    sources.times("feed", move || whole.spread());
    sources.rate("feed.degraded", move || fell_back.get());
    for (name, histogram) in &counts.stages {
        let histogram = histogram.clone();
        sources.times(format!("feed.stage.{name}"), move || histogram.spread());
    }
    for source in &counts.sources {
        let (found, served, overran) = (source.found.clone(), source.served.clone(), source.overran.clone());
        sources.rate(format!("feed.found.{}", source.name), move || found.get());
        sources.rate(format!("feed.served.{}", source.name), move || served.get());
        sources.rate(format!("feed.overran.{}", source.name), move || overran.get());
    }
    for (name, counter) in &counts.degraded {
        let counter = counter.clone();
        sources.rate(format!("feed.degraded.{name}"), move || counter.get());
    }
    for (name, counter) in &counts.filters {
        let counter = counter.clone();
        sources.rate(format!("feed.removed.{name}"), move || counter.get());
    }
    for (name, part) in
        [("categories", &counts.categories), ("creators", &counts.creators), ("explored", &counts.explored)]
    {
        let (part, items) = (part.clone(), counts.items.clone());
        sources.share(format!("feed.{name}"), move || part.get(), move || items.get());
    }
    let freshness = app.feeds.freshness.clone();
    let (delay, stale, unasked) = (freshness.delay().clone(), freshness.clone(), freshness.clone());
    sources.times("freshness", move || delay.spread());
    sources.rate("freshness.stale", move || stale.stale());
    sources.rate("freshness.unasked", move || unasked.unasked());
    sources.level("freshness.watched", move || freshness.watched() as f64);
}

fn events(sources: &mut Sources, app: &Arc<App>) {
    for (place, name) in ["accepted", "duplicate", "rejected"].into_iter().enumerate() {
        sources.rate(format!("events.{name}"), of(app, move |app| app.events.so_far()[place]));
    }
    sources.rate("ingest.applied", of(app, |app| app.ingest.stats().applied));
    sources.rate("ingest.duplicates", of(app, |app| app.ingest.stats().duplicates));
    sources.rate("ingest.deferred", of(app, |app| app.ingest.stats().deferred));
    sources.rate("ingest.quarantined", of(app, |app| app.ingest.stats().quarantined));
    sources.level("bus.depth", of(app, |app| app.gauges.bus_depth()));
}

fn sessions(sources: &mut Sources, app: &Arc<App>) {
    sources.level("sessions.resident", of(app, |app| app.sessions.stats().resident as f64));
    sources.level("sessions.bytes", of(app, |app| app.sessions.stats().bytes as f64));
    sources.rate("sessions.woken", of(app, |app| app.sessions.stats().woken));
    sources.rate("sessions.slept", of(app, |app| app.sessions.stats().slept));
    sources.rate("sessions.refused", of(app, |app| app.sessions.stats().refused));
    sources.rate("sessions.failed", of(app, |app| app.sessions.stats().load_failures + app.sessions.stats().crashed));
}

fn services(sources: &mut Sources, probes: &[Probe]) {
    for probe in probes {
        let (messages, times, queues) = (probe.clone(), probe.clone(), probe.clone());
        sources.rate(format!("service.{}.messages", probe.name()), move || messages.messages());
        sources.times(format!("service.{}", probe.name()), move || times.spread());
        let depth = move || queues.queues().iter().map(|(_, queue)| queue.depth).sum::<usize>() as f64;
        sources.level(format!("service.{}.depth", probe.name()), depth);
    }
}

fn engines(sources: &mut Sources, app: &Arc<App>) {
    for (name, times, failed) in app.store_counts.each() {
        let (times, failed) = (times.clone(), failed.clone());
        sources.times(format!("store.{name}"), move || -> Spread { times.spread() });
        sources.rate(format!("store.{name}.failed"), move || failed.get());
    }
    let index = |read: fn(&foryou_index::IndexStats) -> usize| {
        of(app, move |app| app.feeds.models.current().map_or(0.0, |serving| read(&serving.index_stats()) as f64))
    };
    sources.level("index.items", index(|stats| stats.items));
    sources.level("index.exact", index(|stats| stats.exact_items));
    sources.level("index.dead", index(|stats| stats.graph_dead));
    sources.level("catalogue.videos", of(app, |app| app.live.catalogue().len() as f64));
    sources.rate(
        "process.cpu_ms",
        of(app, |app| app.gauges.process().map_or(0, |process| process.cpu.as_millis() as u64)),
    );
    sources.level(
        "process.bytes",
        of(app, |app| app.gauges.process().map_or(0.0, |process| process.resident_bytes as f64)),
    );
}
