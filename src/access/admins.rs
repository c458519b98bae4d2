//! Who may log in at the console, and their sessions.
//!
//! A session is a cookie that the server signs and does not keep: any node takes it, and a restart ends none. Its key is made of the
//! password's hash, so a changed password ends all sessions of its owner; a logout ends one, on the list that nodes share.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::{hmac, rand};
use foryou_schemas::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    limiter::Limiter,
    random::{self, hex, unhex},
};
use crate::config::AdminLogin;

/// Attempts to log in: a few at once from one address and then one in ten seconds, of all addresses one a second.
const EACH_PER_S: f64 = 0.1;
const EACH_BURST: u32 = 5;
const ALL_PER_S: f64 = 1.0;
const ALL_BURST: u32 = 30;

/// Why a password is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The setting does not read.
    #[error("access.admin.users: entry {entry} {reason}; make entries with `foryou keys password --user NAME`")]
    Setting {
        /// Which, from 1.
        entry: usize,
        /// What is wrong; never the text itself.
        reason: &'static str,
    },
    /// The password cannot be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Who may log in.
pub struct Admins {
    admins: Vec<Admin>,
    lasts: Duration,
    each: Limiter,
    all: Limiter,
}

struct Admin {
    name: Arc<str>,
    hash: String,
    key: hmac::Key,
}

/// A session that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub name: Arc<str>,
    /// Its name on the list of those that were ended.
    pub id: Box<str>,
    /// Until when.
    pub until: Timestamp,
    /// What a change has to show.
    pub csrf: Arc<str>,
}

impl Admins {
    /// As configured: `NAME:HASH` for each, separated by white space.
    pub fn new(settings: &AdminLogin) -> Result<Self, PasswordError> {
        let read = |(n, entry): (usize, &str)| {
            let wrong = |reason| PasswordError::Setting { entry: n + 1, reason };
            let (name, hash) = entry.split_once(':').ok_or_else(|| wrong("is not NAME:HASH"))?;
            check_name(name).map_err(wrong)?;
            PasswordHash::new(hash).map_err(|_| wrong("has no argon2 hash after the name"))?;
            let key = Sha256::digest(format!("foryou console session v1\n{name}\n{hash}"));
            Ok(Admin { name: name.into(), hash: hash.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
        };
        let admins = settings.users.reveal().split_whitespace().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self {
            admins,
            lasts: Duration::from_secs(3_600 * u64::from(settings.session_h.get())),
            each: Limiter::new(EACH_PER_S, EACH_BURST),
            all: Limiter::new(ALL_PER_S, ALL_BURST),
        })
    }

    /// Whether nobody may log in.
    pub fn is_empty(&self) -> bool {
        self.admins.is_empty()
    }

    /// Whether somebody of this name may log in.
    pub fn has(&self, name: &str) -> bool {
        self.admins.iter().any(|admin| &*admin.name == name)
    }

    /// How long a session lasts.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Counts an attempt to log in from an address; the error is how long to wait.
    pub fn attempt(&self, from: &str, now: Duration) -> Result<(), Duration> {
        self.each.take(from, now)?;
        self.all.take("", now)
    }

    /// Whether the password is right. Takes some 20 ms and 19 MiB on purpose: to be called where that keeps nobody waiting.
    pub fn verify(&self, name: &str, password: &str) -> bool {
        // An unknown name takes as long as a wrong password.
        let admin = self.admins.iter().find(|admin| &*admin.name == name).or(self.admins.first());
        let Some(admin) = admin else { return false };
        let right = Argon2::default().verify_password(password.as_bytes(), admin.hash.as_str()).is_ok();
        right && &*admin.name == name
    }

    /// Begins a session of somebody who may log in; the text of its cookie. `None`: nobody of this name may.
    #[expect(
        clippy::expect_used,
        reason = "a system without random numbers is one on which nothing can be made secret"
    )]
    pub fn begin(&self, name: &str, now: Timestamp) -> Option<(String, Session)> {
        let admin = self.admins.iter().find(|admin| &*admin.name == name)?;
        let mut id = [0; 16];
        rand::fill(&mut id).expect("the system gives random bytes");
        let until = now.plus_millis(i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX));
        let body = format!("{}.{}.{}", admin.name, hex(&id), until.millis());
        let mac = hmac::sign(&admin.key, body.as_bytes());
        let session = admin.session(&hex(&id), until);
        Some((format!("{body}.{}", hex(mac.as_ref())), session))
    }

    /// The session of a cookie, if it is one and its time is not over.
    pub fn session(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (body, mac) = cookie.rsplit_once('.')?;
        let mut parts = body.splitn(3, '.');
        let (name, id, until) = (parts.next()?, parts.next()?, parts.next()?);
        let admin = self.admins.iter().find(|admin| &*admin.name == name)?;
        hmac::verify(&admin.key, body.as_bytes(), &unhex::<32>(mac)?).ok()?;
        let until = Timestamp::from_millis(until.parse().ok()?)?;
        (until > now).then(|| admin.session(id, until))
    }
}

impl Admin {
    fn session(&self, id: &str, until: Timestamp) -> Session {
        let csrf = hex(hmac::sign(&self.key, format!("csrf\n{id}").as_bytes()).as_ref());
        Session { name: self.name.clone(), id: id.into(), until, csrf: csrf.into() }
    }
}

impl Session {
    /// Whether a change shows what it has to.
    pub fn shown(&self, csrf: &str) -> bool {
        random::same(self.csrf.as_bytes(), csrf.as_bytes())
    }
}

/// The entry of the configuration for somebody with this password.
pub fn entry(name: &str, password: &str) -> Result<String, PasswordError> {
    check_name(name).map_err(|reason| PasswordError::Hash(format!("the name {reason}")))?;
    let salt = random::text(26);
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt.as_bytes());
    Ok(format!("{name}:{}", hash.map_err(|error| PasswordError::Hash(error.to_string()))?))
}

/// Names stand in cookies, logs and settings.
fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(()),
        false => Err("is no name: it takes 1 to 64 letters, digits, - and _"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn admins(users: &str) -> Result<Admins, PasswordError> {
        Admins::new(&AdminLogin { users: Secret::new(users), ..AdminLogin::default() })
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_764_000_000_000).unwrap()
    }

    #[test]
    fn the_right_password_of_the_right_name() {
        let (anna, bob) = (entry("anna", "correct horse").unwrap(), entry("bob", "battery").unwrap());
        assert!(!anna.contains("horse"));
        let both = admins(&format!("{anna}\n  {bob}")).unwrap();
        assert!(both.verify("anna", "correct horse") && both.verify("bob", "battery"));
        for (name, password) in [("anna", "battery"), ("bob", ""), ("carl", "correct horse"), ("", "")] {
            assert!(!both.verify(name, password), "{name}");
        }
        assert!(!admins("").unwrap().verify("anna", "correct horse"));
    }

    #[test]
    fn a_wrong_setting_is_told_without_showing_it() {
        for bad in ["anna", "anna:secret", "an na:x", ":x", "a/b:x"] {
            let told = admins(bad).map(drop).unwrap_err().to_string();
            assert!(told.contains("entry") && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn a_session_is_good_until_its_end_and_only_as_it_was_made() {
        let setting = entry("anna", "p").unwrap();
        let these = admins(&setting).unwrap();
        let (cookie, session) = these.begin("anna", now()).unwrap();
        assert_eq!(these.session(&cookie, now()), Some(session.clone()));
        assert!(session.shown(&session.csrf) && !session.shown("") && !session.shown(&"0".repeat(64)));
        assert_eq!(these.session(&cookie, session.until), None);
        assert_eq!(these.begin("bob", now()), None);
        for place in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'1' { b'2' } else { b'1' };
            assert_eq!(these.session(std::str::from_utf8(&changed).unwrap(), now()), None, "{place}");
        }
        assert_eq!(these.session("", now()), None);
        let again = admins(&entry("anna", "p").unwrap()).unwrap();
        assert_eq!(again.session(&cookie, now()), None, "another hash of the same password is another key");
        assert!(admins(&setting).unwrap().session(&cookie, now()).is_some(), "a restart ends no session");
    }

    #[test]
    fn attempts_are_limited_for_each_address_and_in_all() {
        let these = admins("").unwrap();
        let passed = (0..100).filter(|_| these.attempt("10.0.0.7", Duration::ZERO).is_ok()).count();
        assert_eq!(passed, EACH_BURST as usize);
        let passed = (0..100).filter(|n| these.attempt(&n.to_string(), Duration::ZERO).is_ok()).count();
        assert_eq!(passed, (ALL_BURST - EACH_BURST) as usize);
    }
}
