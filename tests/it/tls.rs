//! A broker and a store that speak TLS alone.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use foryou_testing::{Engine, Ground, Private, free_address};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tempfile::TempDir;

/// A key with its certificate for this machine, as PEM: both, and the certificate alone.
fn identity() -> (String, String) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    (format!("{}{}", signing_key.serialize_pem(), cert.pem()), cert.pem())
}

#[test]
fn real_engines_that_speak_tls_are_trusted_by_their_authority_alone() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, pem: String| {
        let path = dir.path().join(name);
        fs::write(&path, pem).unwrap();
        path
    };
    let ((both, certificate), (_, stranger)) = (identity(), identity());
    let (both, ca, stranger) = (file("both.pem", both), file("ca.pem", certificate), file("stranger.pem", stranger));
    let private = Private::up_with_tls(&[Engine::Rabbitmq, Engine::Cassandra], &both, &ca);
    assert!(private.engines().rabbitmq.starts_with("amqps://"));

    let ground = Ground::new(env!("CARGO_BIN_EXE_foryou"), private.engines(), 2, "");
    let mut node = ground.start("one", &free_address());
    node.wait_for("/readyz");
    let video = json!({"creator": "c", "category": "x", "duration_ms": 10_000});
    node.put("/v1/videos/v", &video).unwrap().expect(201);
    let event = json!({"id": "e", "user": "ann", "video": "v", "kind": "like"});
    node.post("/v1/events", &event).unwrap().expect(202);
    // A node that is ready may still be taking its partitions.
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let feed = node.get("/v1/users/ann/feed?after=e&wait_ms=2000").unwrap();
        if feed.behind().is_empty() {
            break;
        }
        assert!(Instant::now() < until, "{feed:?}");
    }

    // Somebody else's authority says nothing about these two.
    let config = dir.path().join("foryou.toml");
    for (engine, setting) in [("RabbitMQ", "bus.rabbitmq.ca"), ("store", "store.scylla.ca")] {
        let settings = ground.settings().replace(&format!("{setting} = {ca:?}"), &format!("{setting} = {stranger:?}"));
        assert!(settings.contains("stranger.pem"));
        fs::write(&config, format!("data.dir = {:?}\n{settings}", dir.path())).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_foryou")).arg("--config").arg(&config).arg("migrate").output();
        let output = output.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(engine) && told.contains("certificate"), "{told}");
    }
}
