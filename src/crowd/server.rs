//! The server in front of which the crowd stands, and the key that opens it.

use std::time::Duration;

use actix_web::web::Bytes;
use anyhow::{Context, Result, bail, ensure};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderValue},
};

use crate::{peers::Peers, tls};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait where a refusal does not say.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait that a refusal may ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// Where requests go, and what they show.
pub struct Server {
    connections: Peers,
    /// As `host:port`.
    address: String,
    host: HeaderValue,
    /// What stands before every path.
    prefix: String,
    authorization: Option<HeaderValue>,
}

impl Server {
    /// Reads an address as `http://127.0.0.1:8080` or `https://feeds.example`; `key` is sent with every request.
    pub fn new(url: &str, key: Option<&str>) -> Result<Self> {
        let wrong = || format!("{url:?} is no address of a server; write it as http://127.0.0.1:8080");
        let uri: Uri = url.parse().with_context(wrong)?;
        let authority = uri.authority().with_context(wrong)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => bail!(wrong()),
        };
        ensure!(uri.query().is_none(), "{url:?} has a query, which no address of a server has");
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        // What SSL_CERT_FILE names is trusted in place of the system's authorities.
        let tls = is_tls.then(|| tls::client("".as_ref(), "SSL_CERT_FILE")).transpose()?;
        let bearer = |key: &str| {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {key}")).context("the key is none that foryou made")?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        Ok(Self {
            connections: Peers::new(tls),
            address: format!("{}:{port}", authority.host()),
            host: HeaderValue::from_str(authority.as_str()).with_context(wrong)?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            authorization: key.map(bearer).transpose()?,
        })
    }

    /// Sends a request and reads the answer whole.
    pub async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        Ok(self.connections.send(&self.address, request, PATIENCE).await?)
    }
}

/// How long an overloaded server asks to be left alone; `None` for any other answer.
pub fn asked_to_wait(answer: &Response<Bytes>) -> Option<Duration> {
    if !matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let told = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Some(told.map_or(RETRY, Duration::from_secs).clamp(RETRY, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whole() {
        let server = Server::new("http://127.0.0.1:8080", None).unwrap();
        assert_eq!((server.address.as_str(), server.prefix.as_str()), ("127.0.0.1:8080", ""));
        let server = Server::new("http://feeds.example/behind/", Some("fy_x")).unwrap();
        assert_eq!((server.address.as_str(), server.prefix.as_str()), ("feeds.example:80", "/behind"));
        assert_eq!(server.authorization.unwrap(), "Bearer fy_x");
        for wrong in ["", "8080", "ftp://x", "127.0.0.1:8080", "http://x/?a=b"] {
            assert!(Server::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(Server::new("http://x", Some("line\nbreak")).is_err());
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let answer = |status: u16, after: Option<&str>| {
            let mut answer = Response::builder().status(status);
            if let Some(after) = after {
                answer = answer.header(header::RETRY_AFTER, after);
            }
            answer.body(Bytes::new()).unwrap()
        };
        assert_eq!(asked_to_wait(&answer(503, Some("3"))), Some(Duration::from_secs(3)));
        assert_eq!(asked_to_wait(&answer(429, None)), Some(RETRY));
        assert_eq!(asked_to_wait(&answer(503, Some("86400"))), Some(LONGEST));
        assert_eq!(asked_to_wait(&answer(200, Some("3"))), None);
    }
}
