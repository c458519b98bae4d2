//! The way to the collector: HTTP/1.1 over the connections that are used for other nodes, too.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::Full;
use hyper::{
    Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::{Builder, Runtime};

use crate::{peers::Peers, tls};

/// Where a collector takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    /// `host:port`.
    address: String,
    path: String,
}

impl Endpoint {
    /// Reads the setting `traces.endpoint`: a base address, as OTLP has it; `/v1/traces` comes behind it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`traces.endpoint` {text:?} is no address; write http://HOST:PORT or https://HOST:PORT, as http://127.0.0.1:4318"
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if uri.query().is_some() {
            return Err(wrong());
        }
        let path = format!("{}/v1/traces", uri.path().trim_end_matches('/'));
        Ok(Self { secure, address: format!("{host}:{port}"), path })
    }

    /// The whole address.
    pub fn url(&self) -> String {
        format!("http{}://{}{}", if self.secure { "s" } else { "" }, self.address, self.path)
    }
}

/// Reads the setting `traces.headers`: `name=value` pairs, separated by commas.
pub fn headers(text: &str) -> Result<HashMap<String, String>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_default();
            let (name, value) = (name.trim(), value.trim());
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(_), Ok(_)) => Ok((name.to_owned(), value.to_owned())),
                // Not what was written: it may be a password.
                _ => Err("`traces.headers` must be name=value pairs, separated by commas".to_owned()),
            }
        })
        .collect()
}

/// Sends batches, one at a time, from the thread of the exporter.
pub struct Collector {
    endpoint: Endpoint,
    peers: Peers,
    /// The exporter's thread belongs to no other.
    runtime: Runtime,
    within: Duration,
    /// Batches lost since the last that arrived.
    lost: AtomicU64,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Collector {
    /// Nothing is connected yet. A batch has the time `within`.
    pub fn new(endpoint: Endpoint, ca: &Path, within: Duration) -> Result<Self, String> {
        let tls = endpoint.secure.then(|| tls::client(ca, "traces.ca")).transpose().map_err(|e| e.to_string())?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        Ok(Self { endpoint, peers: Peers::new(tls), runtime, within, lost: AtomicU64::new(0) })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut head, body) = request.into_parts();
        head.headers.insert(HOST, HeaderValue::try_from(&self.endpoint.address)?);
        head.uri = Uri::try_from(&self.endpoint.path)?;
        let request = Request::from_parts(head, Full::new(body));
        Ok(self.runtime.block_on(self.peers.send(&self.endpoint.address, request, self.within))?)
    }

    /// Logs where the way opens and closes, not each batch.
    fn note(&self, lost: Option<&dyn fmt::Display>) {
        match lost {
            Some(reason) => {
                if self.lost.fetch_add(1, Relaxed) == 0 {
                    let endpoint = self.endpoint.url();
                    tracing::warn!(endpoint, %reason, "traces cannot be sent, and are dropped until they can; see traces.endpoint");
                }
            }
            None => match self.lost.swap(0, Relaxed) {
                0 => {}
                batches => tracing::info!(batches, "traces are sent again; some batches were dropped"),
            },
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        match &answer {
            Ok(answer) if answer.status().is_success() => self.note(None),
            Ok(answer) => self.note(Some(&format!("the collector answers {}", answer.status()))),
            Err(error) => self.note(Some(error)),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_address() {
        for (text, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector", "http://collector:80/v1/traces"),
            ("https://traces.example/otlp/", "https://traces.example:443/otlp/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().url(), url);
        }
        for text in ["127.0.0.1:4318", "collector", "grpc://collector:4317", "http://", "http://a b", "http://a/?b"] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.contains("traces.endpoint") && error.contains("http://127.0.0.1:4318"), "{error}");
        }
    }

    #[test]
    fn headers_are_pairs_and_what_is_not_stays_untold() {
        let read = headers(" authorization=Basic a=b , x-scope=one,").unwrap();
        assert_eq!((read["authorization"].as_str(), read["x-scope"].as_str(), read.len()), ("Basic a=b", "one", 2));
        assert!(headers("").unwrap().is_empty());
        let error = headers("hunter2").unwrap_err();
        assert!(error.contains("traces.headers") && !error.contains("hunter2"));
    }
}
