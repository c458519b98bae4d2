use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const SECRET: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
const OTHER: &str = "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno";

fn now() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000).unwrap()
}

fn in_s(seconds: i64) -> i64 {
    now().millis() / 1_000 + seconds
}

fn set(keys: &[(&str, &str)]) -> String {
    let key = |(id, secret): &(&str, &str)| json!({"kty": "oct", "alg": "HS256", "kid": id, "k": secret});
    json!({"keys": keys.iter().map(key).collect::<Vec<_>>()}).to_string()
}

fn open(file: &Path, text: &str, change: impl FnOnce(&mut config::Tokens)) -> Result<Tokens, TokenKeysError> {
    std::fs::write(file, text).unwrap();
    let mut settings = config::Tokens { keys: file.display().to_string(), ..config::Tokens::default() };
    change(&mut settings);
    Tokens::open(&settings)
}

fn tokens(text: &str) -> (TempDir, Tokens) {
    let dir = TempDir::new().unwrap();
    let tokens = open(&dir.path().join("keys.json"), text, |_| {}).unwrap();
    (dir, tokens)
}

/// A token of HS256 with these claims.
fn token(id: Option<&str>, secret: &str, claims: &Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    let secret = secret.replace('-', "+").replace('_', "/") + "=";
    encode(&header, claims, &EncodingKey::from_base64_secret(&secret).unwrap()).unwrap()
}

fn holder(tokens: &Tokens, token: &str) -> Result<String, Refusal> {
    tokens.holder(token, now()).map(|person| person.user.to_string())
}

#[test]
fn the_subject_of_a_good_token_is_who_asks() {
    let (_dir, tokens) = tokens(&set(&[("a", SECRET), ("b", OTHER)]));
    let claims = json!({"sub": "ann / ünï", "exp": in_s(60)});
    for good in [token(Some("a"), SECRET, &claims), token(Some("b"), OTHER, &claims), token(None, OTHER, &claims)] {
        assert_eq!(holder(&tokens, &good).unwrap(), "ann / ünï");
        assert_eq!(holder(&tokens, &good).unwrap(), "ann / ünï", "remembered");
    }
    for bad in [token(Some("b"), SECRET, &claims), token(Some("c"), SECRET, &claims)] {
        assert_eq!(holder(&tokens, &bad), Err(Refusal::Unknown), "another key than it names");
    }
}

#[test]
fn times_are_held_to_the_clock() {
    let (_dir, tokens) = tokens(&set(&[("a", SECRET)]));
    let of = |claims: Value| holder(&tokens, &token(Some("a"), SECRET, &claims));
    assert!(of(json!({"sub": "u", "exp": in_s(-3)})).is_ok(), "clocks differ a little");
    assert_eq!(of(json!({"sub": "u", "exp": in_s(-6)})), Err(Refusal::Expired));
    assert_eq!(of(json!({"sub": "u", "exp": in_s(90_000)})), Err(Refusal::TooLong));
    assert!(of(json!({"sub": "u", "exp": in_s(60), "nbf": in_s(3)})).is_ok());
    for bad in [
        json!({"sub": "u", "exp": in_s(60), "nbf": in_s(30)}),
        json!({"sub": "u"}),
        json!({"exp": in_s(60)}),
        json!({"sub": "", "exp": in_s(60)}),
        json!({"sub": 7, "exp": in_s(60)}),
        json!({"sub": "u", "exp": "soon"}),
        json!({"sub": "u", "exp": -1}),
        json!({"sub": "u", "exp": null}),
    ] {
        assert_eq!(of(bad.clone()), Err(Refusal::Unknown), "{bad}");
    }
    // What was good and is remembered is looked at again.
    let good = token(Some("a"), SECRET, &json!({"sub": "u", "exp": in_s(60)}));
    assert!(holder(&tokens, &good).is_ok());
    assert_eq!(tokens.holder(&good, now().plus_millis(66_000)), Err(Refusal::Expired));
}

#[test]
fn issuer_and_audience_count_where_they_are_set() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys.json");
    let tokens = open(&file, &set(&[("a", SECRET)]), |settings| {
        (settings.issuer, settings.audience) = ("https://id.example".into(), "foryou".into());
    })
    .unwrap();
    let of = |claims: Value| holder(&tokens, &token(None, SECRET, &claims)).is_ok();
    assert!(of(json!({"sub": "u", "exp": in_s(60), "iss": "https://id.example", "aud": "foryou"})));
    assert!(of(json!({"sub": "u", "exp": in_s(60), "iss": "https://id.example", "aud": ["x", "foryou"]})));
    assert!(!of(json!({"sub": "u", "exp": in_s(60), "iss": "https://evil.example", "aud": "foryou"})));
    assert!(!of(json!({"sub": "u", "exp": in_s(60), "iss": "https://id.example", "aud": "other"})));
    assert!(!of(json!({"sub": "u", "exp": in_s(60), "aud": "foryou"})));
    assert!(!of(json!({"sub": "u", "exp": in_s(60), "iss": "https://id.example"})));
}

#[test]
fn keys_are_rotated_while_tokens_are_used() {
    let (dir, tokens) = tokens(&set(&[("a", SECRET)]));
    let file = dir.path().join("keys.json");
    let claims = json!({"sub": "u", "exp": in_s(60)});
    let (old, new) = (token(Some("a"), SECRET, &claims), token(Some("b"), OTHER, &claims));
    assert!(holder(&tokens, &old).is_ok() && holder(&tokens, &new).is_err());
    std::fs::write(&file, set(&[("a", SECRET), ("b", OTHER)])).unwrap();
    tokens.refresh().unwrap();
    assert!(holder(&tokens, &old).is_ok() && holder(&tokens, &new).is_ok());
    std::fs::write(&file, set(&[("b", OTHER)]) + " ").unwrap();
    tokens.refresh().unwrap();
    assert_eq!(holder(&tokens, &old), Err(Refusal::Unknown), "although it is remembered");
    std::fs::write(&file, "not a set").unwrap();
    assert!(tokens.refresh().is_err());
    assert!(holder(&tokens, &new).is_ok(), "a broken file changes nothing");
}

#[test]
fn every_algorithm_by_its_own_key_only() {
    let dir = TempDir::new().unwrap();
    let claims = json!({"sub": "u", "exp": in_s(60)});
    let kinds = [
        (Algorithm::EdDSA, &rcgen::PKCS_ED25519),
        (Algorithm::ES256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (Algorithm::RS256, &rcgen::PKCS_RSA_SHA256),
    ];
    let (mut files, mut signed) = (Vec::new(), Vec::new());
    for (algorithm, kind) in kinds {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let file = dir.path().join(format!("{algorithm:?}.pem"));
        std::fs::write(&file, pair.public_key_pem()).unwrap();
        let private = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(private.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(private.as_bytes()),
            _ => EncodingKey::from_rsa_pem(private.as_bytes()),
        };
        let header = Header { kid: Some(format!("{algorithm:?}")), ..Header::new(algorithm) };
        signed.push(encode(&header, &claims, &key.unwrap()).unwrap());
        // The public key as the secret of HS256: what a verifier that believes the token's `alg` falls for.
        let header = Header { kid: header.kid, ..Header::new(Algorithm::HS256) };
        let forged = EncodingKey::from_secret(pair.public_key_pem().as_bytes());
        let forged = encode(&header, &claims, &forged).unwrap();
        let tokens = open(&file, &pair.public_key_pem(), |_| {}).unwrap();
        assert_eq!(holder(&tokens, &forged), Err(Refusal::Unknown), "{algorithm:?}");
        files.push(file.display().to_string());
    }
    let settings = config::Tokens { keys: files.join(", "), ..config::Tokens::default() };
    let tokens = Tokens::open(&settings).unwrap();
    for token in &signed {
        assert_eq!(holder(&tokens, token).unwrap(), "u");
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1IiwiZXhwIjo0MTAyNDQ0ODAwfQ.";
    assert_eq!(holder(&tokens, unsigned), Err(Refusal::Unknown));
}

#[test]
fn what_is_no_key_is_told_without_showing_it() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("keys.json");
    let private = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    for (text, says) in [
        (private.as_str(), "private key"),
        ("hunter2", "neither"),
        (r#"{"keys": [{"kty": "oct", "k": "aHVudGVyMg"}]}"#, "fewer than 32 bytes"),
        (r#"{"keys": "hunter2"}"#, "no JWK set"),
        (r#"{"keys": []}"#, "no key for"),
        (
            r#"{"keys": [{"kty": "oct", "alg": "EdDSA", "k": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}]}"#,
            "no key for",
        ),
    ] {
        let told = open(&file, text, |_| {}).map(drop).unwrap_err().to_string();
        assert!(told.contains(says) && told.contains("keys.json"), "{told}");
        assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMg"), "{told}");
    }
    let missing = config::Tokens { keys: "no/such/file.json".into(), ..config::Tokens::default() };
    assert!(Tokens::open(&missing).map(drop).unwrap_err().to_string().contains("no/such/file.json"));
}

proptest! {
    #[test]
    fn no_text_is_a_token_by_chance(text in "[A-Za-z0-9_.-]{0,80}|.{0,40}") {
        let (_dir, tokens) = tokens(&set(&[("a", SECRET)]));
        prop_assert_eq!(holder(&tokens, &text), Err(Refusal::Unknown));
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none(place in 0_usize..200, letter in "[A-Za-z0-9_.-]") {
        let (_dir, tokens) = tokens(&set(&[("a", SECRET)]));
        let good = token(Some("a"), SECRET, &json!({"sub": "u", "exp": in_s(60)}));
        let place = place % good.len();
        let mut changed = good.clone();
        changed.replace_range(place..=place, &letter);
        // The last letter carries two bits that do not count.
        prop_assume!(changed != good && place + 1 < good.len());
        prop_assert_eq!(holder(&tokens, &changed), Err(Refusal::Unknown));
    }

    #[test]
    fn whatever_the_claims_are_nothing_panics(sub in ".{0,200}", exp in any::<f64>(), nbf in any::<f64>()) {
        let (_dir, tokens) = tokens(&set(&[("a", SECRET)]));
        let claims = json!({"sub": sub, "exp": exp, "nbf": nbf});
        _ = holder(&tokens, &token(Some("a"), SECRET, &claims));
    }
}
