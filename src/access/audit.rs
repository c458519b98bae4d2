//! Writes the audit log: who did what, on what, and how it ended.

use std::sync::Arc;

use foryou_actors::ports::{
    audit::{AuditLine, AuditLog, Outcome},
    store::StoreError,
};
use foryou_schemas::Timestamp;
use uuid::{NoContext, Uuid};

use super::Caller;
use crate::clock::Clock;

/// The longest text of a line's part, characters: what came from outside is cut.
const LONGEST: usize = 512;

/// The audit log with a clock.
#[derive(Clone)]
pub struct Audit {
    log: Arc<dyn AuditLog>,
    clock: Clock,
}

/// What is to be noted.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What was done, in two words: `key create`, `release activate`.
    pub action: &'a str,
    /// To what: an id or a name.
    pub on: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is to be said. Never a secret.
    pub detail: &'a str,
}

impl Audit {
    /// On a log.
    pub fn new(log: Arc<dyn AuditLog>, clock: Clock) -> Self {
        Self { log, clock }
    }

    /// Notes what a caller did from an address. A line that cannot be written goes to the server's log in its place.
    pub async fn note(&self, caller: &Caller, from: &str, deed: Deed<'_>) {
        self.note_as(&caller.named(), from, deed).await;
    }

    /// As `note`, of somebody who is no caller.
    pub async fn note_as(&self, who: &str, from: &str, deed: Deed<'_>) {
        let line = line(self.clock.now(), who, from, deed);
        if let Err(error) = self.log.append(&line).await {
            tracing::error!(%error, who, from, action = deed.action, on = deed.on, outcome = deed.outcome.word(), "not in the audit log");
        }
    }

    /// The newest lines before the one with the id `before`, newest first.
    pub async fn latest(&self, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        self.log.latest(before, limit).await
    }
}

/// A line with an id of its own.
pub fn line(at: Timestamp, who: &str, from: &str, deed: Deed<'_>) -> AuditLine {
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    let time = uuid::Timestamp::from_unix(NoContext, millis / 1_000, (millis % 1_000 * 1_000_000) as u32);
    AuditLine {
        id: Uuid::new_v7(time).simple().to_string().into(),
        at,
        who: cut(who),
        from: cut(from),
        action: cut(deed.action),
        on: cut(deed.on),
        outcome: deed.outcome,
        detail: cut(deed.detail),
    }
}

fn cut(text: &str) -> Box<str> {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    text[..end].into()
}
