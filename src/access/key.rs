//! API keys as servers send them: `fy_ID_SECRET`.

use foryou_actors::ports::access::{ApiKey, Scopes};
use foryou_schemas::Timestamp;
use sha2::{Digest, Sha256};

use super::random;

/// What every key begins with, so that scanners for leaked secrets find it.
pub const PREFIX: &str = "fy_";
/// Letters of the id: 60 bits, so that no two are the same.
const ID: usize = 12;
/// Letters of the secret: 160 bits.
const SECRET: usize = 32;

/// A new key: what is kept of it, and the text that its holder sends, which nobody can show again.
pub fn create(name: &str, scopes: Scopes, now: Timestamp, expires_at: Option<Timestamp>) -> (ApiKey, String) {
    let (id, secret) = (random::text(ID), random::text(SECRET));
    let text = format!("{PREFIX}{id}_{secret}");
    let key = ApiKey {
        id: id.into(),
        hash: hash(&secret),
        name: name.into(),
        scopes,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    (key, text)
}

/// The id and the secret in a key.
pub fn parse(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(PREFIX)?.split_once('_')
}

/// What is kept of a secret.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use foryou_actors::ports::access::Scope;

    use super::*;

    #[test]
    fn what_is_kept_is_not_what_is_sent() {
        let now = Timestamp::from_millis(1_764_000_000_000).unwrap();
        let (kept, text) = create("app", [Scope::Feed].into_iter().collect(), now, None);
        let (id, secret) = parse(&text).unwrap();
        assert_eq!((id, hash(secret)), (&*kept.id, kept.hash));
        assert_eq!((id.len(), secret.len()), (ID, SECRET));
        assert!(!format!("{kept:?}").contains(secret));
        for bad in ["", "fy_", "fy_abc", "sk_abc_def", "abc"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
