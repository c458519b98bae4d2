//! People's tokens: JWTs (RFC 7519), verified once and then remembered.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use foryou_schemas::{Timestamp, UserId};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    caller::Person,
    refusal::Refusal,
    token_keys::{self, TokenKey, TokenKeysError},
};
use crate::{config, watched_files::WatchedFiles};

/// By how much clocks may differ.
const LEEWAY_MS: i64 = 5_000;
/// The longest token, bytes.
const LONGEST: usize = 8_192;
/// Tokens that are remembered, in each of two generations.
const REMEMBERED: usize = 32_768;

/// Knows the keys, and who was let in lately.
pub struct Tokens {
    settings: config::Tokens,
    keys: ArcSwap<Vec<TokenKey>>,
    files: WatchedFiles,
    verified: Mutex<Verified>,
    /// Grows with every change of the keys: what was verified before counts no more.
    generation: AtomicU64,
}

/// Tokens by their hash: what is in memory is good for nothing to who reads it.
#[derive(Default)]
struct Verified {
    young: HashMap<[u8; 32], (u64, Arc<Person>)>,
    old: HashMap<[u8; 32], (u64, Arc<Person>)>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Seconds, maybe with a fraction.
    exp: f64,
    nbf: Option<f64>,
}

impl Tokens {
    /// With the keys as they are in the files now.
    pub fn open(settings: &config::Tokens) -> Result<Self, TokenKeysError> {
        let files = WatchedFiles::new(settings.files());
        let keys = ArcSwap::from_pointee(token_keys::read(settings)?);
        Ok(Self { settings: settings.clone(), keys, files, verified: Mutex::default(), generation: AtomicU64::new(0) })
    }

    /// Whether there is any key.
    pub fn is_empty(&self) -> bool {
        self.keys.load().is_empty()
    }

    /// Reads the files again if they changed; where that fails, the keys stay as they are. Waits for the disk.
    pub fn refresh(&self) -> Result<(), TokenKeysError> {
        if let Some(keys) = self.files.again(|| token_keys::read(&self.settings))? {
            tracing::info!(keys = keys.len(), "the keys of people's tokens changed");
            self.keys.store(Arc::new(keys));
            self.generation.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Whose token this is.
    pub fn holder(&self, token: &str, now: Timestamp) -> Result<Arc<Person>, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::Unknown);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let generation = self.generation.load(Relaxed);
        let known = self.verified.lock().get(&hash, generation);
        let person = match known {
            Some(person) => person,
            None => {
                let person = Arc::new(self.verify(token, now)?);
                self.verified.lock().put(hash, generation, person.clone());
                person
            }
        };
        match person.until.plus_millis(LEEWAY_MS) > now {
            true => Ok(person),
            false => Err(Refusal::Expired),
        }
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Person, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Unknown)?;
        let keys = self.keys.load();
        let fits = |key: &&TokenKey| {
            key.algorithm == header.alg && header.kid.as_deref().is_none_or(|id| key.id.as_deref() == Some(id))
        };
        let verified = keys.iter().filter(fits);
        let verified = verified.map(|key| jsonwebtoken::decode::<Claims>(token, &key.key, &key.rules));
        let claims = verified.flatten().next().ok_or(Refusal::Unknown)?.claims;
        let until = instant(claims.exp).ok_or(Refusal::Unknown)?;
        if claims.nbf.is_some_and(|from| instant(from).is_none_or(|from| from > now.plus_millis(LEEWAY_MS))) {
            return Err(Refusal::Unknown);
        }
        let longest = i64::from(self.settings.longest_s.get()) * 1_000;
        if until > now.plus_millis(longest + LEEWAY_MS) {
            return Err(Refusal::TooLong);
        }
        let user = UserId::new(claims.sub).map_err(|_| Refusal::Unknown)?;
        Ok(Person { user, until })
    }
}

impl Verified {
    fn get(&mut self, hash: &[u8; 32], generation: u64) -> Option<Arc<Person>> {
        let found = self.young.get(hash).or_else(|| self.old.get(hash));
        let person = found.filter(|(of, _)| *of == generation).map(|(_, person)| person.clone())?;
        if !self.young.contains_key(hash) {
            self.put(*hash, generation, person.clone());
        }
        Some(person)
    }

    fn put(&mut self, hash: [u8; 32], generation: u64, person: Arc<Person>) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, (generation, person));
    }
}

fn instant(seconds: f64) -> Option<Timestamp> {
    // Whole milliseconds, and nothing that is no number.
    (seconds.is_finite() && seconds >= 0.0).then(|| Timestamp::from_millis((seconds * 1e3) as i64))?
}

#[cfg(test)]
mod tests;
