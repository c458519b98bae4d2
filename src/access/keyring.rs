//! The keys in memory, read again every second or so: what a request is held against costs no look at the store.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use foryou_actors::ports::{
    access::{AccessStore, Admitted, Scopes},
    store::StoreError,
};
use foryou_schemas::Timestamp;

use super::{Caller, key, random, refusal::Refusal};

/// The keys as they were read last.
pub struct Keyring {
    store: Arc<dyn AccessStore>,
    now: ArcSwap<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<Arc<str>, Key>,
    ended: HashSet<Box<str>>,
}

struct Key {
    id: Arc<str>,
    hash: [u8; 32],
    scopes: Scopes,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

impl From<Admitted> for Known {
    fn from(admitted: Admitted) -> Self {
        let key = |key: foryou_actors::ports::access::ApiKey| {
            let id: Arc<str> = key.id.into();
            let revoked = key.revoked_at.is_some();
            (id.clone(), Key { id, hash: key.hash, scopes: key.scopes, expires_at: key.expires_at, revoked })
        };
        Self { keys: admitted.keys.into_iter().map(key).collect(), ended: admitted.ended.into_iter().collect() }
    }
}

impl Keyring {
    /// With what is stored now.
    pub async fn open(store: Arc<dyn AccessStore>) -> Result<Self, StoreError> {
        let now = ArcSwap::from_pointee(store.admitted().await?.into());
        Ok(Self { store, now })
    }

    /// Whether no key was ever made.
    pub fn is_empty(&self) -> bool {
        self.now.load().keys.is_empty()
    }

    /// Reads the keys again. Where that fails those that are known stay.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.now.store(Arc::new(self.store.admitted().await?.into()));
        Ok(())
    }

    /// Who sends this key.
    pub fn holder(&self, text: &str, now: Timestamp) -> Result<Caller, Refusal> {
        let (id, secret) = key::parse(text).ok_or(Refusal::Unknown)?;
        let known = self.now.load();
        let key = known.keys.get(id).ok_or(Refusal::Unknown)?;
        if !random::same(&key::hash(secret), &key.hash) {
            return Err(Refusal::Unknown);
        }
        key.good(now)?;
        Ok(Caller::Key { id: key.id.clone(), scopes: key.scopes })
    }

    /// Whether a key that was let in before still would be.
    pub fn is_good(&self, id: &str, now: Timestamp) -> bool {
        self.now.load().keys.get(id).is_some_and(|key| key.good(now).is_ok())
    }

    /// Whether a console session was logged out.
    pub fn has_ended(&self, session: &str) -> bool {
        self.now.load().ended.contains(session)
    }

    /// Logs a console session out: here at once, elsewhere when they read the next time.
    pub async fn end(&self, session: &str, until: Timestamp) -> Result<(), StoreError> {
        self.store.end_session(session, until).await?;
        self.refresh().await
    }

    /// Where the keys are kept.
    pub fn store(&self) -> &Arc<dyn AccessStore> {
        &self.store
    }
}

impl Key {
    fn good(&self, now: Timestamp) -> Result<(), Refusal> {
        match () {
            () if self.revoked => Err(Refusal::Revoked),
            () if self.expires_at.is_some_and(|at| at <= now) => Err(Refusal::Expired),
            () => Ok(()),
        }
    }
}
