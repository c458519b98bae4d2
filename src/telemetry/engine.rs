//! What `/metrics` tells of the engine's parts: read from the same places as the console's figures, when somebody asks.

use std::sync::Weak;

use foryou_actors::services::status::{Probe, ServiceState};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::histogram;
use crate::app::App;

/// Figures of services, sessions, bus, index and process. Holds nothing alive.
#[derive(Debug)]
pub struct EngineFigures(pub Weak<App>);

impl Collector for EngineFigures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(app) = self.0.upgrade() else { return Ok(()) };
        let mut out = Out(encoder);
        services(&mut out, app.supervisor.probes())?;
        let sessions = app.sessions.stats();
        out.gauge("sessions", "Sessions in memory", sessions.resident as f64)?;
        out.gauge("sessions_bytes", "What sessions in memory occupy, estimated", sessions.bytes as f64)?;
        for (name, help, value) in [
            ("sessions_woken", "Sessions loaded", sessions.woken),
            ("sessions_slept", "Sessions put to sleep", sessions.slept),
            ("sessions_load_failures", "Sessions that could not be loaded", sessions.load_failures),
            ("sessions_refused", "Messages refused because too many were on their way to a session", sessions.refused),
            ("sessions_crashed", "Session actors that panicked", sessions.crashed),
        ] {
            out.counter(name, help, value)?;
        }
        let ingest = app.ingest.stats();
        for (name, help, value) in [
            ("ingest_applied", "Events applied", ingest.applied),
            ("ingest_duplicates", "Deliveries of events that were applied before", ingest.duplicates),
            ("ingest_deferred", "Deliveries given back to come again", ingest.deferred),
            ("ingest_quarantined", "Events put aside because they can never be applied", ingest.quarantined),
        ] {
            out.counter(name, help, value)?;
        }
        let dropped = app.quarantine.as_ref().map_or(0, |kept| kept.dropped());
        out.counter("quarantine_dropped", "Events in quarantine that made room for later ones", dropped)?;
        out.gauge("bus_depth", "Events that wait on the bus, as last asked", app.gauges.bus_depth())?;
        out.gauge("catalogue_videos", "Videos in the catalogue", app.live.catalogue().len() as f64)?;
        if let Some(index) = app.feeds.models.current().map(|serving| serving.index_stats()) {
            out.gauge("index_items", "Videos that the index finds", index.items as f64)?;
            out.gauge("index_exact_items", "Of these, in the exact segment", index.exact_items as f64)?;
            out.gauge(
                "index_graph_dead",
                "Members of the graph that were removed or replaced",
                index.graph_dead as f64,
            )?;
            out.gauge("index_bytes", "Memory of the index", index.bytes as f64)?;
        }
        out.gauge("freshness_watched", "Events that no feed reflects yet", app.feeds.freshness.watched() as f64)?;
        let kept = if app.objective.broken().is_none() { 1.0 } else { 0.0 };
        out.gauge("freshness_objective_kept", "Whether feeds reflect events as soon as they have to", kept)?;
        if let Some(process) = app.gauges.process() {
            out.gauge("process_resident_bytes", "Memory of the process", process.resident_bytes as f64)?;
            let seconds = process.cpu.as_secs_f64();
            let mut cpu = out.descriptor("process_cpu_seconds", "CPU time of the process", MetricType::Counter)?;
            cpu.encode_counter::<NoLabelSet, _, f64>(&seconds, None)?;
        }
        Ok(())
    }
}

fn services(out: &mut Out<'_>, probes: &[Probe]) -> std::fmt::Result {
    let help = "Whether a service does its work";
    let mut up = out.descriptor("service_up", help, MetricType::Gauge)?;
    for probe in probes {
        let running = i64::from(probe.state() == ServiceState::Running);
        up.encode_family(&[("service", probe.name())])?.encode_gauge(&running)?;
    }
    let mut restarts =
        out.descriptor("service_restarts", "How often a service was started again", MetricType::Counter)?;
    for probe in probes {
        let label = [("service", probe.name())];
        let mut of = restarts.encode_family(&label)?;
        of.encode_counter::<NoLabelSet, _, u64>(&probe.restarts(), None)?;
    }
    let mut messages = out.descriptor("service_messages", "Messages that a service handled", MetricType::Counter)?;
    for probe in probes {
        let label = [("service", probe.name())];
        let mut of = messages.encode_family(&label)?;
        of.encode_counter::<NoLabelSet, _, u64>(&probe.messages(), None)?;
    }
    let help = "Time of a service's unit of work";
    let mut handling = out.descriptor("service_handling_seconds", help, MetricType::Histogram)?;
    for probe in probes {
        // Of its quarter octaves every eighth: enough for a graph, and an eighth of the lines.
        let spread = probe.spread().coarser(8);
        let label = [("service", probe.name())];
        let of = handling.encode_family(&label)?;
        histogram::encode(&spread.bounds_s, &spread.counts, spread.sum_s, of)?;
    }
    let mut depth = out.descriptor("service_queue_depth", "What waits in a service's queue", MetricType::Gauge)?;
    for (probe, (queue, status)) in probes.iter().flat_map(|p| p.queues().into_iter().map(move |q| (p, q))) {
        depth.encode_family(&[("service", probe.name()), ("queue", queue)])?.encode_gauge(&(status.depth as i64))?;
    }
    let help = "What was dropped because a queue was full";
    let mut dropped = out.descriptor("service_queue_dropped", help, MetricType::Counter)?;
    for (probe, (queue, status)) in probes.iter().flat_map(|p| p.queues().into_iter().map(move |q| (p, q))) {
        let labels = [("service", probe.name()), ("queue", queue)];
        let mut of = dropped.encode_family(&labels)?;
        of.encode_counter::<NoLabelSet, _, u64>(&status.dropped, None)?;
    }
    Ok(())
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn descriptor<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, std::fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> std::fmt::Result {
        ConstGauge::new(value).encode(self.descriptor(name, help, MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        self.descriptor(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}
