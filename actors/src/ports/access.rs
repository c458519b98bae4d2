//! API keys, and console sessions that were ended before their time.

#[cfg(feature = "contract")]
pub mod contract;

use std::fmt;

use async_trait::async_trait;
use foryou_schemas::Timestamp;

use super::store::StoreError;

/// What a key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Send events, and tell who people are.
    Events,
    /// Publish, change and remove videos.
    Catalogue,
    /// Ask for feeds, histories, trends.
    Feed,
    /// Operate: the console's routes, metrics, the erasure of people.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Events, Self::Catalogue, Self::Feed, Self::Admin];

    /// Its name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Catalogue => "catalogue",
            Self::Feed => "feed",
            Self::Admin => "admin",
        }
    }

    /// Reads a name; the error lists those that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("{text:?} is not a scope; scopes are {}", known()))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the scope is among them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Scope::name).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.names().join(","))
    }
}

/// A key as it is kept: its secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part: names the key in lists, logs and audit lines.
    pub id: Box<str>,
    /// SHA-256 of the secret, which is random and long enough that nobody finds it by trying.
    pub hash: [u8; 32],
    /// What people call it; may be empty.
    pub name: Box<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if that was said.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was. It stays on the list: a key never comes back.
    pub revoked_at: Option<Timestamp>,
}

/// Everything that decides whether somebody who once was let in still is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admitted {
    /// Every key that was ever made, by id.
    pub keys: Vec<ApiKey>,
    /// Console sessions that were logged out before their time.
    pub ended: Vec<Box<str>>,
}

/// Where keys are kept. Commands change it while servers run: they read all of it again every second or so, so what it holds has to stay
/// small (thousands, not millions).
#[async_trait]
pub trait AccessStore: Send + Sync + 'static {
    /// Everything that is there now. Ended sessions whose time is over may be missing.
    async fn admitted(&self) -> Result<Admitted, StoreError>;

    /// Keeps a new key.
    async fn put_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// Revokes a key, for ever; of a revoked one the time stays. `false`: there is none of this id.
    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a console session was logged out; the note may be forgotten after `until`, when the session is over anyway.
    async fn end_session(&self, id: &str, until: Timestamp) -> Result<(), StoreError>;
}
