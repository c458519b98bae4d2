//! The keys that people's tokens are signed with, out of files: JWK sets (RFC 7517), and public keys in PEM.

use std::path::{Path, PathBuf};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};

use crate::config::Tokens;

/// The shortest secret of HS256, bytes (RFC 7518, section 3.2).
const SHORTEST_SECRET: usize = 32;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeysError {
    /// A file cannot be read.
    #[error("access.tokens.keys: {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no key that can be used. What is in it is not told: it may be a secret.
    #[error("access.tokens.keys: {} {reason}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A key, and what it is good for.
pub struct TokenKey {
    /// Its name, by which a token says with which of several it was signed.
    pub id: Option<Box<str>>,
    /// The one algorithm that it is used with, whatever a token says.
    pub algorithm: Algorithm,
    /// The key.
    pub key: DecodingKey,
    /// What is looked at besides the signature, but for times.
    pub rules: Validation,
}

/// Reads the keys of the files that `settings` name.
pub fn read(settings: &Tokens) -> Result<Vec<TokenKey>, TokenKeysError> {
    let mut keys = Vec::new();
    for path in settings.files() {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenKeysError::Unreadable { path: path.to_owned(), source })?;
        let found = if text.trim_start().starts_with('{') { set(&text) } else { pem(path, &text) };
        let found = found.map_err(|reason| TokenKeysError::Unusable { path: path.to_owned(), reason })?;
        keys.extend(found.into_iter().map(|(id, algorithm, key)| {
            let rules = rules(algorithm, settings);
            TokenKey { id, algorithm, key, rules }
        }));
    }
    Ok(keys)
}

type Found = (Option<Box<str>>, Algorithm, DecodingKey);

fn set(text: &str) -> Result<Vec<Found>, String> {
    // The parser's own message may quote what it read.
    let set: JwkSet = serde_json::from_str(text).map_err(|e| format!("is no JWK set (line {})", e.line()))?;
    let mut found = Vec::new();
    for jwk in &set.keys {
        let id = jwk.common.key_id.as_deref().map(Into::into);
        let Some(algorithm) = algorithm(jwk) else { continue };
        if let AlgorithmParameters::OctetKey(secret) = &jwk.algorithm
            && secret.value.len() * 6 / 8 < SHORTEST_SECRET
        {
            return Err(format!("holds a secret of fewer than {SHORTEST_SECRET} bytes; make a longer one"));
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| format!("holds a key that does not decode ({id:?})"))?;
        found.push((id, algorithm, key));
    }
    match found.is_empty() {
        true => Err("has no key for EdDSA, ES256, RS256 or HS256".into()),
        false => Ok(found),
    }
}

/// The algorithm that a key is for, if it is one of those that are used here.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let fits = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        _ => return None,
    };
    let named = match jwk.common.key_algorithm {
        None => fits,
        Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
        Some(KeyAlgorithm::ES256) => Algorithm::ES256,
        Some(KeyAlgorithm::RS256) => Algorithm::RS256,
        Some(KeyAlgorithm::HS256) => Algorithm::HS256,
        Some(_) => return None,
    };
    (named == fits).then_some(named)
}

/// One public key; its name is the file's, without the ending.
fn pem(path: &Path, text: &str) -> Result<Vec<Found>, String> {
    if text.contains("PRIVATE KEY") {
        return Err("is a private key; give the public one, and keep this where tokens are made".into());
    }
    let text = text.as_bytes();
    let found = [
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(text)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(text)),
        (Algorithm::RS256, DecodingKey::from_rsa_pem(text)),
    ];
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into());
    let found = found.into_iter().find_map(|(algorithm, key)| Some((id.clone(), algorithm, key.ok()?)));
    found
        .map(|key| vec![key])
        .ok_or_else(|| "is neither a JWK set nor a public key in PEM (Ed25519, P-256, RSA)".into())
}

fn rules(algorithm: Algorithm, settings: &Tokens) -> Validation {
    let mut rules = Validation::new(algorithm);
    // Times are looked at with our own clock.
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    let mut required = vec!["exp", "sub"];
    if !settings.issuer.is_empty() {
        rules.set_issuer(&[&settings.issuer]);
        required.push("iss");
    }
    rules.validate_aud = !settings.audience.is_empty();
    if rules.validate_aud {
        rules.set_audience(&[&settings.audience]);
        required.push("aud");
    }
    rules.set_required_spec_claims(&required);
    rules
}
