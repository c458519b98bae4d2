//! The section `access`: who may do what. `foryou.toml` says what each key does.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Real, Secret, Whole};

/// Whether callers have to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessMode {
    /// Yes, unless the server is reached over loopback only and nothing is set up.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No, whoever can reach the server: somebody else guards it.
    OpenToEveryone,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Access {
    pub mode: AccessMode,
    pub refresh_ms: Whole<100, 60_000>,
    pub open_metrics: bool,
    pub origins: String,
    pub audit_days: Whole<1, 3_650>,
    pub tokens: Tokens,
    pub admin: AdminLogin,
    pub limits: Limits,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            mode: AccessMode::default(),
            refresh_ms: const { Whole::new(1_000) },
            open_metrics: false,
            origins: String::new(),
            audit_days: const { Whole::new(365) },
            tokens: Tokens::default(),
            admin: AdminLogin::default(),
            limits: Limits::default(),
        }
    }
}

/// People's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Tokens {
    pub keys: String,
    pub issuer: String,
    pub audience: String,
    pub longest_s: Whole<60, 2_592_000>,
}

impl Default for Tokens {
    fn default() -> Self {
        let (keys, issuer, audience) = Default::default();
        Self { keys, issuer, audience, longest_s: const { Whole::new(86_400) } }
    }
}

impl Tokens {
    /// The files with keys.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.keys.split(',').map(str::trim).filter(|file| !file.is_empty()).map(Path::new)
    }
}

/// The login of the console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct AdminLogin {
    pub users: Secret,
    pub session_h: Whole<1, 720>,
    pub secure_cookie: bool,
}

impl Default for AdminLogin {
    fn default() -> Self {
        Self { users: Secret::default(), session_h: const { Whole::new(12) }, secure_cookie: false }
    }
}

/// How often each may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Limits {
    pub key_per_s: Real<0, 1_000_000>,
    pub key_burst: Whole<1, 1_000_000>,
    pub person_per_s: Real<0, 1_000_000>,
    pub person_burst: Whole<1, 1_000_000>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_per_s: const { Real::new(5_000.0) },
            key_burst: const { Whole::new(10_000) },
            person_per_s: const { Real::new(20.0) },
            person_burst: const { Whole::new(100) },
        }
    }
}
