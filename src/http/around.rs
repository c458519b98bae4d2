//! What surrounds every route: request id and span, the bound on work in flight, metrics, and problems in one form.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use tracing::Instrument;

use crate::{
    app::App,
    error::{PROBLEM_JSON, Problem},
    telemetry::{Metrics, RequestId, TRACES, traces},
};

/// The requests at work in this process, and the most there may be.
#[derive(Debug, Clone)]
pub struct InFlight {
    now: Arc<AtomicUsize>,
    most: usize,
}

impl InFlight {
    /// Admits at most `most` requests at a time.
    pub fn new(most: usize) -> Self {
        Self { now: Arc::default(), most }
    }

    /// How many there are.
    pub fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    fn enter(&self) -> Option<Entered> {
        let entered = Entered(self.now.clone());
        (self.now.fetch_add(1, Relaxed) < self.most).then_some(entered)
    }
}

struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a page may load, and who may show it: this server only, and nothing that stands in the page itself.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);
/// What is no page loads nothing.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The middleware.
pub async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let id = RequestId::or_new(request.headers().get(RequestId::HEADER));
    // For whoever passes the request on.
    request.headers_mut().insert(RequestId::HEADER, id.header());
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.path());
    let trace = tracing::trace_span!(target: TRACES, "request", otel.kind = "server", %id, path = request.path());
    traces::adopt(&trace, request.headers());
    let metrics = request.app_data::<Data<Metrics>>().cloned();
    let method = method_name(request.method());
    let traced = trace.clone();
    let answer = async move {
        let admitted = admit(&request);
        let mut answer = match &admitted {
            Ok(_entered) => next.call(request).await?.map_into_boxed_body(),
            Err(retry_after) => {
                let problem = Problem::overloaded("Too many requests are at work", *retry_after);
                request.into_response(problem.error_response()).map_into_boxed_body()
            }
        };
        answer.headers_mut().insert(RequestId::HEADER, id.header());
        protect(&mut answer);
        let took = began.elapsed();
        let route = answer.request().match_pattern().unwrap_or_else(|| "unknown".to_owned());
        let status = answer.status().as_u16();
        if let Some(metrics) = metrics {
            metrics.request(method, &route, status, took);
        }
        traces::answered(&traced, method, &route, status);
        report(&answer, &route, took);
        Ok(unify(answer))
    };
    answer.instrument(trace).instrument(span).await
}

/// What a browser may do with an answer: as little as it needs. A route may say otherwise of its own answers.
fn protect(answer: &mut ServiceResponse) {
    let (secure, path) = (answer.request().app_config().secure(), answer.request().path());
    let is_private = path.starts_with("/v1/") || path.starts_with("/admin");
    let headers = answer.headers_mut();
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|is| is.as_bytes().starts_with(b"text/html"));
    let policy = if is_page { PAGE_POLICY } else { DATA_POLICY };
    let mut set = |name: HeaderName, value: HeaderValue| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_SECURITY_POLICY, policy);
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: a form would then not say which page it is on.
    set(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if is_private {
        set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if secure {
        set(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// A place among the requests in flight; health and metrics are answered always.
fn admit(request: &ServiceRequest) -> Result<Option<Entered>, Duration> {
    match request.app_data::<Data<InFlight>>() {
        Some(in_flight) if request.path().starts_with("/v1/") => {
            in_flight.enter().map(Some).ok_or(Duration::from_secs(1))
        }
        _ => Ok(None),
    }
}

/// The one place where a failed request is logged.
fn report(answer: &ServiceResponse, route: &str, took: Duration) {
    let (status, took_ms) = (answer.status().as_u16(), took.as_secs_f64() * 1e3);
    let problem = answer.response().error().and_then(|e| e.as_error::<Problem>());
    match problem.filter(|p| p.cause().is_some()) {
        Some(problem) => {
            if let Some(app) = answer.request().app_data::<Data<App>>() {
                app.unserved.note(route, took, problem);
            }
        }
        None => tracing::debug!(route, status, took_ms, "answered"),
    }
}

/// Turns the framework's own refusals into problem documents.
fn unify(answer: ServiceResponse) -> ServiceResponse {
    let status = answer.status();
    let content = answer.headers().get(header::CONTENT_TYPE);
    // A page says itself what is wrong.
    let is_told = content.is_some_and(|is| is == PROBLEM_JSON || is.as_bytes().starts_with(b"text/html"));
    if !(status.is_client_error() || status.is_server_error()) || is_told {
        return answer;
    }
    let (request, old) = answer.into_parts();
    let mut new: HttpResponse = Problem::of(status).error_response();
    for (name, value) in old.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            new.headers_mut().insert(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, new)
}

/// A method as a label: clients may invent any number of others.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}

/// `200 OK` or another status with `value` as JSON.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(HttpResponse::build(status).content_type(header::ContentType::json()).body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_bound_is_admitted_and_a_place_becomes_free_again() {
        let in_flight = InFlight::new(2);
        let (one, two) = (in_flight.enter(), in_flight.enter());
        assert!(one.is_some() && two.is_some() && in_flight.enter().is_none());
        assert_eq!(in_flight.now(), 2);
        drop(one);
        assert!(in_flight.enter().is_some());
    }
}
