//! How nodes know each other: what one sends to another carries a MAC under the secret that all of them share. It covers the address,
//! the time and who the request comes from, whom the sending node has checked already.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use aws_lc_rs::hmac;
use foryou_schemas::{Timestamp, UserId};

use super::{
    Caller, Scope,
    admins::Session,
    caller::Person,
    random::{hex, unhex},
};
use crate::config::Secret;

/// Says that a request was passed on, and by whom: it is not passed on again.
pub const FORWARDED: &str = "x-foryou-forwarded";
/// `TIME MAC NODE`.
pub const NODE_AUTH: &str = "x-foryou-node-auth";
/// From whom the request comes (see `encode`).
pub const CALLER: &str = "x-foryou-caller";
/// By how much the clocks of two nodes may differ; what was sent longer ago is a repetition.
const FRESH: Duration = Duration::from_secs(60);
/// The shortest secret, bytes.
pub const SHORTEST: usize = 16;

/// What all nodes of a cluster share.
pub struct NodeKey(hmac::Key);

/// What is sent along with a request to another node.
pub struct Signed {
    /// The value of [`NODE_AUTH`].
    pub auth: String,
    /// The value of [`CALLER`].
    pub caller: String,
}

impl NodeKey {
    /// From the configured secret; none where none is configured.
    pub fn new(secret: &Secret) -> Option<Self> {
        let secret = secret.reveal();
        (!secret.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// Signs a request of `caller` that goes from `node` to `target` (path and query) of another.
    pub fn sign(&self, node: &str, method: &str, target: &str, caller: &Caller, now: Timestamp) -> Signed {
        let caller = encode(caller);
        let time = now.millis();
        let mac = hmac::sign(&self.0, &message(time, node, method, target, &caller));
        Signed { auth: format!("{time} {} {node}", hex(mac.as_ref())), caller }
    }

    /// From whom a request comes that another node sent, if one did.
    pub fn caller(&self, headers: &HeaderMap, method: &str, target: &str, now: Timestamp) -> Option<Caller> {
        let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
        let (auth, caller) = (text(NODE_AUTH)?, text(CALLER)?);
        let mut parts = auth.splitn(3, ' ');
        let (time, mac, node) = (parts.next()?.parse::<i64>().ok()?, unhex::<32>(parts.next()?)?, parts.next()?);
        if now.millis().abs_diff(time) > FRESH.as_millis() as u64 {
            return None;
        }
        hmac::verify(&self.0, &message(time, node, method, target, caller), &mac).ok()?;
        decode(caller, node)
    }
}

fn message(time: i64, node: &str, method: &str, target: &str, caller: &str) -> Vec<u8> {
    // None of the parts holds a line break: all but the address are headers, and that is checked by the parser.
    format!("foryou node v1\n{time}\n{node}\n{method}\n{target}\n{caller}").into_bytes()
}

fn encode(caller: &Caller) -> String {
    match caller {
        Caller::Anyone => "anyone".to_owned(),
        Caller::Key { id, scopes } => format!("key {id} {}", scopes.names().join(",")),
        // Hexadecimal, since ids hold what a header does not.
        Caller::Person(person) => format!("person {} {}", person.until.millis(), hex(person.user.as_str().as_bytes())),
        Caller::Admin(session) => format!("admin {} {} {}", session.name, session.id, session.until.millis()),
        Caller::Node { .. } => "node".to_owned(),
    }
}

fn decode(text: &str, node: &str) -> Option<Caller> {
    let mut words = text.split(' ');
    Some(match words.next()? {
        "anyone" => Caller::Anyone,
        "key" => {
            let id = words.next()?.into();
            let names = words.next()?.split(',').filter(|name| !name.is_empty());
            Caller::Key { id, scopes: names.map(Scope::parse).collect::<Result<_, _>>().ok()? }
        }
        "person" => {
            let until = Timestamp::from_millis(words.next()?.parse().ok()?)?;
            let digits = words.next()?;
            let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            let bytes = pairs.map(|pair| unhex::<1>(pair?).map(|[byte]| byte)).collect::<Option<Vec<u8>>>()?;
            let user = UserId::new(String::from_utf8(bytes).ok()?).ok()?;
            Caller::Person(Person { user, until }.into())
        }
        "admin" => {
            let (name, id) = (words.next()?.into(), words.next()?.into());
            let until = Timestamp::from_millis(words.next()?.parse().ok()?)?;
            Caller::Admin(Session { name, id, until, csrf: "".into() }.into())
        }
        "node" => Caller::Node { name: node.into() },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use foryou_actors::ports::access::Scopes;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000).unwrap()
    }

    fn key(secret: &str) -> NodeKey {
        NodeKey::new(&Secret::new(secret)).unwrap()
    }

    fn sent(signed: &Signed) -> HeaderMap {
        let pairs = [(NODE_AUTH, &signed.auth), (CALLER, &signed.caller)];
        pairs
            .map(|(name, text)| (HeaderName::from_static(name), HeaderValue::from_str(text).unwrap()))
            .into_iter()
            .collect()
    }

    #[test]
    fn every_caller_arrives_as_he_was() {
        let user = UserId::new("a/b ünï ☕ 'x'").unwrap();
        for caller in [
            Caller::Anyone,
            Caller::Key { id: "k1".into(), scopes: Scope::ALL.into_iter().collect() },
            Caller::Key { id: "k1".into(), scopes: Scopes::default() },
            Caller::Person(Person { user, until: now() }.into()),
            Caller::Admin(Session { name: "anna".into(), id: "7".into(), until: now(), csrf: "".into() }.into()),
            Caller::Node { name: "node a:80".into() },
        ] {
            let signed = key("s3cret").sign("node a:80", "GET", "/v1/x?y=1", &caller, now());
            assert_eq!(key("s3cret").caller(&sent(&signed), "GET", "/v1/x?y=1", now()), Some(caller));
        }
    }

    #[test]
    fn what_was_changed_or_is_old_is_nobodys_word() {
        let caller = Caller::Key { id: "k1".into(), scopes: [Scope::Feed].into_iter().collect() };
        let signed = key("s3cret").sign("a", "GET", "/v1/x?y=1", &caller, now());
        let headers = sent(&signed);
        let good = |key: &NodeKey, headers: &HeaderMap, method, target, now| {
            key.caller(headers, method, target, now).is_some()
        };
        let ours = key("s3cret");
        assert!(good(&ours, &headers, "GET", "/v1/x?y=1", now().plus_millis(59_000)));
        assert!(!good(&ours, &headers, "GET", "/v1/x?y=1", now().plus_millis(61_000)));
        assert!(!good(&ours, &headers, "GET", "/v1/x?y=1", now().plus_millis(-61_000)));
        assert!(!good(&ours, &headers, "PUT", "/v1/x?y=1", now()));
        assert!(!good(&ours, &headers, "GET", "/v1/x?y=2", now()));
        assert!(!good(&key("other"), &headers, "GET", "/v1/x?y=1", now()));
        let more = Caller::Key { id: "k1".into(), scopes: Scope::ALL.into_iter().collect() };
        let mut changed = headers.clone();
        changed.insert(HeaderName::from_static(CALLER), HeaderValue::from_str(&encode(&more)).unwrap());
        assert!(!good(&ours, &changed, "GET", "/v1/x?y=1", now()));
        for bad in ["", "x", "1764000000000", "1764000000000 00 a", &format!("1764000000000 {} a", "0".repeat(64))] {
            let mut changed = headers.clone();
            changed.insert(HeaderName::from_static(NODE_AUTH), HeaderValue::from_str(bad).unwrap());
            assert!(!good(&ours, &changed, "GET", "/v1/x?y=1", now()), "{bad}");
        }
    }
}
