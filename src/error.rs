//! Problem documents (RFC 9457): how every refusal and failure looks from outside.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use foryou_actors::{
    ports::{bus::BusError, store::StoreError},
    services::catalogue::CatalogueError,
    sessions::SessionError,
};
use foryou_schemas::{FieldError, Invalid};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// When to come back after an overload that says nothing better.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Problem(Box<Details>);

#[derive(Debug)]
struct Details {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// What may be shown to prove who one is (RFC 6750).
    challenge: Option<&'static str>,
    cause: Option<String>,
}

/// What is answered in place of what was asked for (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// Which kind of problem: `urn:foryou:problem:` and a word.
    #[schema(format = "uri")]
    pub r#type: String,
    /// The kind in words.
    pub title: &'a str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: &'a str,
    /// What is wrong with which field; left out where there is nothing to say.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
}

impl Problem {
    /// The problem behind a status that nobody explained further.
    pub fn of(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Unknown status");
        Self::new(status, "http", title, format!("The server answered {status}; check the request."))
    }

    /// A body that cannot be read (400), or whose fields are not acceptable (422).
    pub fn invalid(invalid: Invalid) -> Self {
        let unreadable = invalid.errors.iter().any(|e| e.field.is_empty());
        let status = if unreadable { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        let detail = invalid.to_string();
        Self::new(status, "invalid-body", "The body is not acceptable", detail).with(|d| d.errors = invalid.errors)
    }

    /// Query parameters, or parts of the path, that are not acceptable.
    pub fn invalid_address(invalid: Invalid) -> Self {
        let detail = invalid.to_string();
        let title = "The address is not acceptable";
        Self::new(StatusCode::BAD_REQUEST, "invalid-address", title, detail).with(|d| d.errors = invalid.errors)
    }

    /// A body of another media type than JSON.
    pub fn not_json(found: &str) -> Self {
        let detail = format!("The content type is {found:?}; send JSON as application/json.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "The body is not JSON", detail)
    }

    /// A body over the limit.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes; send it in smaller batches.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    /// A body that did not come in time.
    pub fn too_slow() -> Self {
        let detail = "The body did not arrive in time; send the request again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request came too slowly", detail)
    }

    /// An id in the path that nobody knows.
    pub fn unknown(what: &'static str, id: impl fmt::Display) -> Self {
        let detail = format!("There is no {what} {id}; check the id, or create it with PUT.");
        Self::new(StatusCode::NOT_FOUND, "unknown-id", "Not found", detail)
    }

    /// A path that is no route.
    pub fn no_route(path: &str) -> Self {
        let detail = format!("There is nothing at {path}; check the path.");
        Self::new(StatusCode::NOT_FOUND, "no-such-route", "No such route", detail)
    }

    /// A method that the route does not have. `allow` lists those it has.
    pub fn method(method: &str, allow: String) -> Self {
        let detail = format!("This route does not answer {method}; it answers {allow}.");
        let title = "Method not allowed";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", title, detail).with(|d| d.allow = Some(allow))
    }

    /// What is asked for does not go with how things are now.
    pub fn conflict(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Not possible now", why.to_string())
    }

    /// More work than the server can take now.
    pub fn overloaded(what: &str, retry_after: Duration) -> Self {
        let detail = format!("{what}; try again after the time in Retry-After.");
        let title = "Overloaded";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", title, detail)
            .with(|d| d.retry_after = Some(retry_after))
    }

    /// More than one person, or one client, may ask for at a time.
    pub fn too_many(what: &str) -> Self {
        let detail = format!("{what}; slow down, and try again after the time in Retry-After.");
        let title = "Too many requests";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", title, detail)
            .with(|d| d.retry_after = Some(RETRY_AFTER))
    }

    /// One key, or one person, asks more often than they may.
    pub fn too_often(whose: &str, retry_after: Duration) -> Self {
        Self::too_many(&format!("{whose} asks more often than it may")).with(|d| d.retry_after = Some(retry_after))
    }

    /// Nothing was shown that tells who asks.
    pub fn unknown_caller(detail: &str) -> Self {
        Self::unauthorized(detail, "Bearer realm=\"foryou\"")
    }

    /// What was shown to tell who asks is not good.
    pub fn bad_credential(detail: &str) -> Self {
        Self::unauthorized(detail, "Bearer realm=\"foryou\", error=\"invalid_token\"")
    }

    fn unauthorized(detail: &str, challenge: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not authorised", detail)
            .with(|d| d.challenge = Some(challenge))
    }

    /// Who asks is known, and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// The server is up and cannot do its work yet, or not any more.
    pub fn unready(reasons: Vec<String>) -> Self {
        let errors = reasons.into_iter().map(|reason| FieldError { field: String::new(), reason });
        Self::overloaded("The server is not ready", RETRY_AFTER).with(|d| d.errors = errors.collect())
    }

    /// A failure of this server. The cause is for the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let detail = "The server failed; its log has the cause under this answer's x-request-id.";
        let title = "Internal error";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
            .with(|d| d.cause = Some(cause.to_string()))
    }

    /// A request that does not open a socket.
    pub fn no_socket(why: &impl fmt::Display) -> Self {
        let detail = format!("This route answers WebSocket handshakes only ({why}).");
        Self::new(StatusCode::BAD_REQUEST, "no-socket", "Not a WebSocket handshake", detail)
    }

    /// What the client is told.
    pub fn document(&self) -> Document<'_> {
        Document {
            r#type: format!("urn:foryou:problem:{}", self.0.slug),
            title: self.0.title,
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            errors: &self.0.errors,
        }
    }

    /// What the log should know and the client should not.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Whether it may be well by itself, later (503).
    pub fn is_passing(&self) -> bool {
        self.0.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// When to come back, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Something that the server needs does not answer. The cause is for the log only.
    pub fn away(what: &str, cause: impl fmt::Display) -> Self {
        Self::overloaded(what, RETRY_AFTER).with(|d| d.cause = Some(cause.to_string()))
    }

    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            status,
            slug,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            challenge: None,
            cause: None,
        }))
    }

    fn with(mut self, set: impl FnOnce(&mut Details)) -> Self {
        set(&mut self.0);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.cause.as_deref().unwrap_or(&self.0.detail))
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        if let Some(wait) = self.0.retry_after {
            response.insert_header((header::RETRY_AFTER, wait.as_millis().div_ceil(1000).max(1).to_string()));
        }
        if let Some(allow) = &self.0.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if let Some(challenge) = self.0.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        // A document of strings and numbers always turns into JSON.
        response.body(serde_json::to_vec(&self.document()).unwrap_or_default())
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) | StoreError::Fenced(_) => Self::away("The feature store does not answer now", error),
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Busy => Self::too_many("Too many requests concern this user"),
            SessionError::Broken(_) => Self::internal(error),
            SessionError::Unavailable(_) | SessionError::TimedOut | SessionError::Stopped => {
                Self::away("The user's session does not answer now", error)
            }
        }
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        Self::away("The catalogue cannot be changed now", error)
    }
}

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Full { retry_after } => Self::overloaded("Too many events wait to be applied", retry_after),
            BusError::Away(_) => Self::away("The event bus does not answer now", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(problem: &Problem, name: header::HeaderName) -> String {
        problem.error_response().headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn an_overload_says_when_to_come_back_in_whole_seconds() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let full = BusError::Full { retry_after: Duration::from_millis(millis) };
            let problem = Problem::from(full);
            assert_eq!(problem.status_code(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(header(&problem, header::RETRY_AFTER), seconds);
        }
    }

    #[test]
    fn a_cause_stays_in_the_log() {
        let problem = Problem::from(StoreError::Corrupt("row 7".into()));
        assert!(problem.to_string().contains("row 7") && !problem.0.detail.contains("row 7"));
        assert_eq!(header(&problem, header::CONTENT_TYPE), "application/problem+json");
    }

    #[test]
    fn an_unreadable_body_is_400_and_a_wrong_field_422() {
        assert_eq!(Problem::invalid(Invalid::body("x")).status_code(), 400);
        assert_eq!(Problem::invalid(Invalid::field("age", "x")).status_code(), 422);
    }
}
