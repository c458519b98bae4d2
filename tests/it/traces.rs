//! What a collector of traces is sent, by a server that is a process of its own.

use std::{
    collections::HashSet,
    net::TcpListener,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, rt::System, web};
use foryou_testing::{Engines, Ground, Node, free_address};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value as Is},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use serde_json::json;
use tempfile::TempDir;

const FORYOU: &str = env!("CARGO_BIN_EXE_foryou");

/// Takes OTLP over HTTP, and keeps what comes.
struct Collector {
    address: String,
    heard: Receiver<(Option<String>, ExportTraceServiceRequest)>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

type Heard = Sender<(Option<String>, ExportTraceServiceRequest)>;

async fn take(request: HttpRequest, body: web::Bytes, heard: web::Data<Heard>) -> HttpResponse {
    let key = request.headers().get("x-key").map(|key| key.to_str().unwrap().to_owned());
    heard.send((key, ExportTraceServiceRequest::decode(body).unwrap())).unwrap();
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, heard) = channel::<(Option<String>, ExportTraceServiceRequest)>();
        let (say, told) = channel();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async {
                let make = move || {
                    let app =
                        App::new().app_data(web::Data::new(sender.clone())).app_data(web::PayloadConfig::new(8 << 20));
                    app.route("/base/v1/traces", web::post().to(take))
                };
                let server = HttpServer::new(make).workers(1).disable_signals().listen(listener).unwrap().run();
                say.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, heard, handle: told.recv().unwrap(), thread: Some(thread) }
    }

    /// Everything that came, once the server that sent it has ended.
    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for (key, request) in self.heard.try_iter() {
            assert_eq!(key.as_deref(), Some("a key"));
            for resource in request.resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                let told = |name: &str| attributes.iter().find(|a| a.key == name).and_then(|a| a.value.clone());
                assert_eq!(text(&told("service.name").unwrap()), "foryou");
                assert!(!text(&told("service.instance.id").unwrap()).is_empty());
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        System::new().block_on(self.handle.stop(false));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn text(value: &AnyValue) -> &str {
    match &value.value {
        Some(Is::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn number(span: &Span, name: &str) -> i64 {
    match span.attributes.iter().find(|a| a.key == name).and_then(|a| a.value.clone()).and_then(|v| v.value) {
        Some(Is::IntValue(number)) => number,
        other => panic!("{name} of {}: {other:?}", span.name),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let [span] = named(spans, name)[..] else {
        panic!("not one {name} in {:?}", spans.iter().map(|s| &s.name).collect::<Vec<_>>())
    };
    span
}

fn children<'a>(spans: &'a [Span], of: &Span) -> Vec<&'a Span> {
    let own = |span: &&Span| span.parent_span_id == of.span_id && span.trace_id == of.trace_id;
    spans.iter().filter(own).collect()
}

fn parent<'a>(spans: &'a [Span], of: &Span) -> Option<&'a Span> {
    spans.iter().find(|span| span.span_id == of.parent_span_id && span.trace_id == of.trace_id)
}

fn settings(collector: &Collector, share: f64) -> String {
    let endpoint = format!("http://{}/base/", collector.address);
    format!("traces = {{ endpoint = {endpoint:?}, headers = \"x-key=a key\", share = {share:?} }}\n")
}

fn serve(dir: &Path, settings: &str) -> Node {
    Node::start(FORYOU, dir, &free_address(), settings)
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Somebody sees a video and asks for a feed; `traced` is the sender's trace.
fn visit(node: &Node, traced: Option<&str>) {
    let video =
        json!({"creator": "c", "category": "dance", "duration_ms": 9_000, "published_at": "2026-01-01T00:00:00Z"});
    node.put("/v1/videos/v", &video).unwrap().expect(201);
    let event = json!({"id": "e-1", "user": "u", "video": "v", "kind": "like"});
    let post = ureq::post(format!("http://{}/v1/events", node.address()));
    let post = traced.iter().fold(post, |post, value| post.header("traceparent", *value));
    assert_eq!(post.send_json(&event).unwrap().status().as_u16(), 202);
    // The feed waits until the event is applied.
    node.get("/v1/users/u/feed?after=e-1&wait_ms=2000").unwrap().expect(200);
}

#[test]
fn a_request_is_traced_through_feed_store_and_ingest() {
    let (collector, dir) = (Collector::start(), TempDir::new().unwrap());
    let mut node = serve(dir.path(), &settings(&collector, 1.0));
    visit(&node, Some(&format!("00-{TRACE}-{PARENT}-01")));
    node.stop();
    let spans = collector.spans();

    // An event belongs to the trace of who sent it.
    let events = only(&spans, "POST /v1/events");
    assert_eq!((hex(&events.trace_id).as_str(), hex(&events.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!((events.kind(), number(events, "http.response.status_code")), (SpanKind::Server, 202));
    let within: HashSet<&str> = children(&spans, events).iter().map(|span| span.name.as_str()).collect();
    assert!(within.is_superset(&HashSet::from(["known_events", "publish"])), "{within:?}");

    // A feed is divided into its stages, which lie within it, one after the other.
    let request = only(&spans, "GET /v1/users/{id}/feed");
    let [feed] = children(&spans, request)[..] else { panic!("{:?}", children(&spans, request)) };
    assert_eq!(feed.name, "feed");
    let stages: Vec<&Span> = children(&spans, feed).into_iter().filter(|s| s.kind() == SpanKind::Internal).collect();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    for stage in ["session", "sources", "filters", "answer"] {
        assert!(names.contains(&stage), "{stage} is not in {names:?}");
    }
    for stage in &stages {
        // Clocks of different kinds differ a little.
        let about = 1_000_000;
        assert!(stage.start_time_unix_nano + about >= feed.start_time_unix_nano, "{} begins early", stage.name);
        assert!(stage.end_time_unix_nano <= feed.end_time_unix_nano + about, "{} ends late", stage.name);
    }

    // What came over the bus is applied and stored in traces of its own.
    assert_eq!(named(&spans, "ingest").iter().map(|span| number(span, "events")).sum::<i64>(), 1);
    assert!(named(&spans, "write").iter().all(|span| span.kind() == SpanKind::Client));
    assert!(!named(&spans, "write").is_empty());
}

#[test]
fn a_share_of_traces_is_kept_and_what_others_keep() {
    let (collector, dir) = (Collector::start(), TempDir::new().unwrap());
    let mut node = serve(dir.path(), &settings(&collector, 0.0));
    visit(&node, Some(&format!("00-{TRACE}-{PARENT}-01")));
    node.stop();
    let spans = collector.spans();
    assert!(!named(&spans, "POST /v1/events").is_empty());
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
}

#[test]
fn a_collector_that_is_away_costs_a_line_in_the_log_and_no_request() {
    let dir = TempDir::new().unwrap();
    let mut node = serve(dir.path(), &format!("traces = {{ endpoint = \"http://{}\", share = 1.0 }}", free_address()));
    visit(&node, None);
    node.stop();
    let log = node.log_end();
    assert_eq!(log.matches("traces cannot be sent").count(), 1, "{log}");
}

#[test]
fn real_engines_a_trace_goes_on_at_the_node_that_holds_the_person() {
    let collector = Collector::start();
    let ground = Ground::new(FORYOU, &Engines::shared(), 16, &settings(&collector, 1.0));
    let (mut a, mut b) = (ground.start("node-a", &free_address()), ground.start("node-b", &free_address()));
    let until = Instant::now() + Duration::from_secs(60);
    let mut people = (0..32).cycle().map(|n| format!("/v1/users/p{n}/feed"));
    let path = people.find(|path| {
        assert!(Instant::now() < until, "node-a passes nothing on");
        a.get(path).is_ok_and(|answer| answer.node == "node-b")
    });
    let path = path.unwrap();
    a.stop();
    b.stop();
    let spans = collector.spans();
    let about =
        |span: &&Span| span.attributes.iter().any(|a| a.key == "path" && text(a.value.as_ref().unwrap()) == path);
    let ways: Vec<Vec<&str>> = named(&spans, "feed")
        .into_iter()
        .map(|feed| std::iter::successors(Some(feed), |span| parent(&spans, span)).collect::<Vec<_>>())
        .filter(|way| way.iter().any(about))
        .map(|way| way.into_iter().map(|span| span.name.as_str()).collect())
        .collect();
    let route = "GET /v1/users/{id}/feed";
    assert!(ways.contains(&vec!["feed", route, "forward", route]), "{ways:?}");
}
