//! The audit log: who did what to this system. Lines are added and read, never changed.

#[cfg(feature = "contract")]
pub mod contract;

use async_trait::async_trait;
use foryou_schemas::Timestamp;

use super::store::StoreError;

/// What became of what somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused: whoever asked may not, or asked wrongly.
    Refused,
    /// It was tried, and failed.
    Failed,
}

impl Outcome {
    /// The word for it, as it is kept and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Result<Self, StoreError> {
        let found = [Self::Done, Self::Refused, Self::Failed].into_iter().find(|outcome| outcome.word() == word);
        found.ok_or_else(|| StoreError::Corrupt(format!("{word:?} is no outcome in the audit log")))
    }
}

/// One line. No part of it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Unique, and later the greater it is: a UUID of version 7 in 32 hexadecimal digits.
    pub id: Box<str>,
    /// When.
    pub at: Timestamp,
    /// Who: `admin anna`, `key k7…`, `command`.
    pub who: Box<str>,
    /// From where, if that is known.
    pub from: Box<str>,
    /// What was done, in two words: `key create`, `release activate`, `login`.
    pub action: Box<str>,
    /// To what: an id or a name; may be empty.
    pub on: Box<str>,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is to be said; may be empty.
    pub detail: Box<str>,
}

/// Where the audit log is kept. Lines older than it was opened for are forgotten.
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Adds a line; it is durable when this returns.
    async fn append(&self, line: &AuditLine) -> Result<(), StoreError>;

    /// The newest lines, newest first, of those before the one with the id `before` if that is given; at most `limit`.
    async fn latest(&self, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError>;
}
