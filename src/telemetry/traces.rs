//! Traces: spans of requests, feeds, the store and ingest, sent to a collector over OTLP where one is configured.
//!
//! These spans have a target of their own, [`TRACES`], and the finest level: without a collector a span costs the look at one number, and
//! the log does not see them.

mod collector;

use std::time::{Duration, Instant, SystemTime};

use actix_web::http::header::HeaderMap;
use opentelemetry::{
    KeyValue, global,
    propagation::{Extractor, TextMapPropagator},
    trace::{Span as _, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_http::HeaderInjector;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use self::collector::{Collector, Endpoint};
use crate::config::Config;

pub use foryou_actors::TRACES;

/// How long one delivery to the collector may take; what waits meanwhile is bounded, and what comes on top is dropped.
const DELIVERED_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last delivery.
const LAST_WITHIN: Duration = Duration::from_secs(3);

/// Sends what has been recorded when it is dropped.
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_WITHIN) {
            tracing::debug!(%error, "the last spans could not be sent");
        }
    }
}

/// Begins to trace; `None` where no collector is configured. The error says what is wrong with which setting.
pub fn init(config: &Config) -> Result<Option<Traces>, String> {
    let settings = &config.traces;
    if settings.endpoint.is_empty() {
        return Ok(None);
    }
    let endpoint = Endpoint::parse(&settings.endpoint)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.url())
        .with_headers(collector::headers(settings.headers.reveal())?)
        .with_timeout(DELIVERED_WITHIN)
        .with_http_client(Collector::new(endpoint, &settings.ca, DELIVERED_WITHIN)?)
        .build()
        .map_err(|error| format!("the exporter of traces cannot be made: {error}"))?;
    let share = Sampler::TraceIdRatioBased(settings.share.get().into());
    let resource = Resource::builder()
        .with_service_name("foryou")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance(config)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource.build())
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(Some(Traces(provider)))
}

/// What tells this process from others: its name as a node, or its address.
fn instance(config: &Config) -> String {
    match config.cluster.node.as_str() {
        "" => config.advertised(),
        name => name.to_owned(),
    }
}

impl Traces {
    /// What records the spans of a subscriber, and the events in them that the log takes by default.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let recorded = |of: &Metadata<'_>| of.target() == TRACES || (of.is_event() && *of.level() <= Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("foryou"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(recorded).with_max_level_hint(Level::TRACE))
    }
}

/// Makes `span` part of the trace that a request belongs to, if it says one (W3C Trace Context). Before anything happens in the span.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    struct Headers<'a>(&'a HeaderMap);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(|name| name.as_str()).collect()
        }
    }
    if span.is_disabled() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    if context.span().span_context().is_valid() {
        // It fails where the span is no longer new, and then belongs to a trace.
        let _ = span.set_parent(context);
    }
}

/// Says in a request to another server which trace it belongs to, if `span` belongs to one.
pub fn pass_on(span: &Span, headers: &mut hyper::HeaderMap) {
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    }
}

/// Says of a request's span what came of it, in the terms of OpenTelemetry's conventions for HTTP.
pub fn answered(span: &Span, method: &'static str, route: &str, status: u16) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let span = context.span();
    span.update_name(format!("{method} {route}"));
    span.set_attributes([
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(status)),
    ]);
    if status >= 500 {
        span.set_status(Status::error(""));
    }
}

/// Says that what `span` is about failed.
pub fn failed(span: &Span, error: &dyn std::fmt::Display) {
    if !span.is_disabled() {
        span.set_status(Status::error(error.to_string()));
    }
}

/// Records what is over already as children of `span`: a name, when it began, and how long it took.
pub fn over(span: &Span, parts: impl Iterator<Item = (&'static str, Instant, Duration)>) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    if !context.span().span_context().is_sampled() {
        return;
    }
    let tracer = global::tracer("foryou");
    let (now, instant) = (SystemTime::now(), Instant::now());
    for (name, began, took) in parts {
        let began = now - instant.saturating_duration_since(began);
        let part = tracer.span_builder(name).with_start_time(began);
        part.start_with_context(&tracer, &context).end_with_timestamp(began + took);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_trace_goes_on_from_request_to_request() {
        let traces = Traces(SdkTracerProvider::builder().build());
        let received = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("traceparent"), HeaderValue::from_static(received));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(traces.layer()), || {
            let request = tracing::trace_span!(target: TRACES, "request");
            adopt(&request, &headers);
            let forward = tracing::trace_span!(target: TRACES, parent: &request, "forward");
            let mut passed = hyper::HeaderMap::new();
            pass_on(&forward, &mut passed);
            let passed = passed["traceparent"].to_str().unwrap();
            assert!(passed.starts_with(&received[..36]) && passed.ends_with("-01"), "{passed}");
            assert_ne!(passed[36..52], received[36..52], "the other server's parent is the request that went to it");
        });
    }

    #[test]
    fn without_a_collector_nothing_is_recorded() {
        assert!(init(&Config::default()).unwrap().is_none());
        let span = tracing::trace_span!(target: TRACES, "request");
        let mut passed = hyper::HeaderMap::new();
        pass_on(&span, &mut passed);
        assert!(span.is_disabled() && passed.is_empty());
    }
}
