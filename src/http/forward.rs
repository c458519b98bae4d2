//! Requests about a person go to the node that holds the person's session. Where that is another one, they are passed on to it,
//! once; where it does not answer, a feed or a question is answered from the store, and a change is refused: it happens where the
//! person is, or not at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{Bytes, Data},
};
use foryou_actors::services::membership::Home;
use foryou_schemas::UserId;
use http_body_util::Full;
use hyper::{Request, upgrade::Upgraded};
use tracing::Instrument;

use super::{
    feed, history,
    input::{Body, Query, id},
    user,
};
use crate::{
    access::{
        Caller,
        nodes::{self, NodeKey},
    },
    app::App,
    clock::Clock,
    error::Problem,
    peers::{PeerError, Peers},
    telemetry::{Histogram, TRACES, traces},
};

/// Says that a request was passed on, and by whom: it is not passed on again.
const FORWARDED: HeaderName = HeaderName::from_static(nodes::FORWARDED);
/// Says which node an answer comes from.
const NODE: HeaderName = HeaderName::from_static("x-foryou-node");
/// What concerns one connection only (RFC 9110, section 7.6.1), and what each end writes itself.
const NOT_PASSED_ON: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
];

/// What a worker passes requests on with.
pub struct Forwarder {
    peers: Peers,
    me: HeaderValue,
    /// What it proves with that it is a node.
    key: Option<Arc<NodeKey>>,
    clock: Clock,
    answered: Histogram,
    failed: Histogram,
}

/// Why a request is answered by a node that does not hold the person, as it goes into `degraded`.
struct Elsewhere(Box<str>);

/// Why the person that a request is about is not to be looked for here; `None` where all is well.
pub fn elsewhere(request: &HttpRequest) -> Option<Box<str>> {
    request.extensions().get::<Elsewhere>().map(|Elsewhere(reason)| reason.clone())
}

/// Who passed the request on, if it is not from a client.
pub fn sender(headers: &HeaderMap) -> Option<&str> {
    headers.get(FORWARDED).map(|sender| sender.to_str().unwrap_or("another node"))
}

/// The middleware of routes whose `{id}` is a person.
pub async fn to_home(
    app: Data<App>,
    forwarder: Data<Forwarder>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let home = match id(request.request(), UserId::new) {
        Ok(user) => app.membership.home(&user),
        // The route says what is wrong with it.
        Err(_) => Home::Here,
    };
    let reason = match (home, sender(request.headers())) {
        (Home::Here, _) => None,
        (Home::Nobody { reason }, _) => Some((reason, None)),
        (Home::There { .. }, Some(sender)) => Some((disagree(sender, &app), None)),
        (Home::There { node, address }, None) => {
            let limit = app.config.cluster.forward_timeout_ms.millis() + patience(request.request());
            match forwarder.pass_on(&mut request, &node, &address, limit).await {
                Ok(answer) => return Ok(request.into_response(answer)),
                Err(Failed::Refused(problem)) => return Ok(refuse(request, problem)),
                Err(Failed::Peer(error)) => {
                    tracing::debug!(%node, %error, "a request could not be passed on");
                    Some((silent(&node), Some(error)))
                }
            }
        }
    };
    let mut answer = match reason {
        Some((reason, error)) if matches!(*request.method(), Method::PUT | Method::DELETE) => {
            refuse(request, nobody(&reason, error))
        }
        reason => {
            if let Some((reason, _)) = reason {
                request.extensions_mut().insert(Elsewhere(reason));
            }
            next.call(request).await?.map_into_boxed_body()
        }
    };
    answer.headers_mut().insert(NODE, forwarder.me.clone());
    Ok(answer)
}

/// A request was passed on to this node, which does not hold the person either: news has not reached everybody.
pub fn disagree(sender: &str, app: &App) -> Box<str> {
    format!("owner: {sender} and {} do not agree yet on who it is", app.membership.name()).into()
}

/// A node could not be asked.
pub fn silent(node: &str) -> Box<str> {
    format!("owner: {node} does not answer").into()
}

/// Nobody can change anything of a person now.
pub fn nobody(reason: &str, cause: Option<PeerError>) -> Problem {
    let detail = format!("The node that holds this user cannot be asked now ({reason})");
    match cause {
        Some(cause) => Problem::away(&detail, cause),
        None => Problem::overloaded(&detail, Duration::from_secs(1)),
    }
}

/// How long the other node may take for what it waits for on purpose.
fn patience(request: &HttpRequest) -> Duration {
    match (request.method(), request.path().rsplit('/').next()) {
        (&Method::GET, Some("feed" | "why")) => feed::patience(&mut Query::of(request)),
        (&Method::GET, Some("history")) => history::PATIENCE,
        (&Method::DELETE, _) => user::ERASED_WITHIN,
        _ => Duration::ZERO,
    }
}

fn refuse(request: ServiceRequest, problem: Problem) -> ServiceResponse<BoxBody> {
    request.into_response(HttpResponse::from_error(problem))
}

enum Failed {
    /// The request is not acceptable.
    Refused(Problem),
    Peer(PeerError),
}

impl Forwarder {
    /// For a worker of this server.
    pub fn new(app: &App) -> Self {
        let metrics = &app.metrics;
        Self {
            peers: Peers::new(app.node_tls.clone()),
            me: HeaderValue::from_str(app.membership.name()).unwrap_or(HeaderValue::from_static("a-node")),
            key: app.gate.node_key(),
            clock: app.clock.clone(),
            answered: metrics.forward("answered"),
            failed: metrics.forward("failed"),
        }
    }

    /// Sends JSON to a route of another node, and gives the status of its answer.
    pub async fn post(
        &self,
        address: &str,
        path: &'static str,
        original: &HttpRequest,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<StatusCode, PeerError> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = hyper::Uri::from_static(path);
        copy(original.headers(), request.headers_mut());
        self.sign(original, &mut request);
        Ok(status(self.send(address, request, limit).await?.status()))
    }

    /// Asks another node to open the socket that `original` asks for; whoever sent it has been checked here, the page that it comes from, too.
    pub async fn open(
        &self,
        address: &str,
        original: &HttpRequest,
        limit: Duration,
    ) -> Result<Result<Upgraded, HttpResponse>, PeerError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        // What proves who it is stays here.
        let told = original.query_string().split('&').filter(|pair| !pair.starts_with("access_token="));
        let target = format!("{}?{}", original.path(), told.collect::<Vec<_>>().join("&"));
        // A part of an address that was one.
        *request.uri_mut() = target.parse().unwrap_or_default();
        copy(original.headers(), request.headers_mut());
        self.sign(original, &mut request);
        let headers = request.headers_mut();
        headers.remove(hyper::header::ORIGIN);
        headers.insert(hyper::header::CONNECTION, hyper::header::HeaderValue::from_static("upgrade"));
        headers.insert(hyper::header::UPGRADE, hyper::header::HeaderValue::from_static("websocket"));
        self.head(address, &mut request);
        let began = Instant::now();
        let opened = self.peers.open(address, request, limit).await;
        let counted = if opened.is_ok() { &self.answered } else { &self.failed };
        counted.observe(began.elapsed());
        Ok(opened?.map_err(response))
    }

    async fn pass_on(
        &self,
        request: &mut ServiceRequest,
        node: &str,
        address: &str,
        limit: Duration,
    ) -> Result<HttpResponse, Failed> {
        let body = match *request.method() {
            Method::PUT | Method::POST | Method::PATCH => request.extract::<Body>().await.map_err(Failed::Refused)?.0,
            // No other route reads one.
            _ => Bytes::new(),
        };
        let unreadable = |error: &dyn std::fmt::Display| Failed::Refused(Problem::internal(error));
        let mut passed = Request::new(Full::new(body));
        let method = request.method().as_str();
        *passed.method_mut() = hyper::Method::from_bytes(method.as_bytes()).map_err(|e| unreadable(&e))?;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        *passed.uri_mut() = hyper::Uri::try_from(target).map_err(|e| unreadable(&e))?;
        copy(request.headers(), passed.headers_mut());
        self.sign(request.request(), &mut passed);
        let answer = self.send(address, passed, limit).await.map_err(Failed::Peer)?;
        let mut response = response(answer);
        let headers = response.headers_mut();
        if !headers.contains_key(NODE)
            && let Ok(node) = HeaderValue::from_str(node)
        {
            headers.insert(NODE, node);
        }
        Ok(response)
    }

    /// Says who the original comes from, and proves that a node says it. The other node asks nobody again: whatever proved it here
    /// stays here.
    fn sign(&self, original: &HttpRequest, request: &mut Request<Full<Bytes>>) {
        let Some(key) = &self.key else { return };
        let caller = original.extensions().get::<Caller>().cloned().unwrap_or(Caller::Anyone);
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let name = self.me.to_str().unwrap_or_default();
        let signed = key.sign(name, request.method().as_str(), target, &caller, self.clock.now());
        let headers = request.headers_mut();
        headers.remove(hyper::header::AUTHORIZATION);
        headers.remove(hyper::header::COOKIE);
        for (name, value) in [(nodes::NODE_AUTH, signed.auth), (nodes::CALLER, signed.caller)] {
            // A value that is none is not sent, and the other node refuses the request.
            if let Ok(value) = hyper::header::HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }

    fn head(&self, address: &str, request: &mut Request<Full<Bytes>>) {
        let headers = request.headers_mut();
        let forwarded = hyper::header::HeaderName::from_static(nodes::FORWARDED);
        for (name, value) in [(hyper::header::HOST, address.as_bytes()), (forwarded, self.me.as_bytes())] {
            if let Ok(value) = hyper::header::HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
    }

    async fn send(
        &self,
        address: &str,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<hyper::Response<Bytes>, PeerError> {
        self.head(address, &mut request);
        let span = tracing::trace_span!(target: TRACES, "forward", otel.kind = "client", server.address = address);
        traces::pass_on(&span, request.headers_mut());
        let began = Instant::now();
        let answer = self.peers.send(address, request, limit).instrument(span.clone()).await;
        if let Err(error) = &answer {
            traces::failed(&span, error);
        }
        let counted = if answer.is_ok() { &self.answered } else { &self.failed };
        counted.observe(began.elapsed());
        answer
    }
}

/// An answer of another node as one of this.
fn response(answer: hyper::Response<Bytes>) -> HttpResponse {
    let (head, body) = answer.into_parts();
    let mut response = HttpResponse::build(status(head.status)).body(body);
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes()))
            && !NOT_PASSED_ON.contains(&name)
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The two sides use different versions of the same types.
fn status(status: hyper::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// Copies what is meant for the other end.
fn copy(from: &HeaderMap, to: &mut hyper::HeaderMap) {
    let connection = from.get(header::CONNECTION).and_then(|names| names.to_str().ok()).unwrap_or_default();
    let concerns_connection =
        |name: &HeaderName| connection.split(',').any(|named| named.trim().eq_ignore_ascii_case(name.as_str()));
    for (name, value) in from {
        if NOT_PASSED_ON.contains(name) || concerns_connection(name) {
            continue;
        }
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::from_bytes(value.as_bytes())) {
            to.append(name, value);
        }
    }
}
