//! The id of a request: in every log line and in the answer.

use std::fmt;

use actix_web::http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The client's id where it is usable (1–128 visible ASCII characters), else a new one.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The header that carries it, in and out.
    pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// Takes over what the client sent, if it may stand in a log line.
    pub fn or_new(sent: Option<&HeaderValue>) -> Self {
        let usable = |v: &&HeaderValue| (1..=128).contains(&v.len()) && v.as_bytes().iter().all(u8::is_ascii_graphic);
        match sent.filter(usable) {
            Some(value) => Self(value.clone()),
            None => Self::new(),
        }
    }

    /// As a header's value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::now_v7().simple().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_kept_only_if_it_may_stand_in_a_log() {
        let kept = |sent: &'static str| RequestId::or_new(Some(&HeaderValue::from_static(sent))).to_string() == sent;
        assert!(kept("req-1"));
        assert!(!kept("") && !kept("two words") && !kept("tab\tbed"));
        let long = HeaderValue::from_str(&"x".repeat(129)).unwrap();
        assert_eq!(RequestId::or_new(Some(&long)).to_string().len(), 32);
    }
}
