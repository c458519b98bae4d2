//! `POST /v1/events`.

use serde_json::{Value, json};

use crate::server::Server;

fn like(id: &str) -> Value {
    json!({"id": id, "user": "u", "video": "v0", "kind": "like"})
}

#[test]
fn results_stand_in_the_order_of_the_events() {
    let server = Server::start();
    server.publish(1);
    let ok = json!({"user": "u", "video": "v0", "kind": "view", "watch_ms": 5});
    let bad = json!({"id": "odd", "user": "u", "video": "v0", "kind": "teleport"});
    let events = json!({"events": [ok, bad, like("a"), like("a"), 7]});
    let body = server.post("/v1/events", &events).expect(202);
    let results = body["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["accepted", "rejected", "accepted", "duplicate", "rejected"]);
    assert_eq!(body["accepted"], 2);
    assert!(results[0]["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!((&results[1]["id"], &results[1]["errors"][0]["field"]), (&json!("odd"), &json!("kind")));
    assert_eq!(results[4]["id"], Value::Null);
}

#[test]
fn a_batch_of_which_nothing_is_acceptable_is_refused() {
    let server = Server::start();
    server.publish(1);
    let bad = json!({"user": "u", "video": "nowhere", "kind": "like"});
    let answer = server.post("/v1/events", &json!({"events": [bad, {"video": "v0", "kind": "like"}]}));
    answer.problem(422, "video");
    answer.problem(422, "user");
    assert!(answer.text.contains("events[1].user"));
}

#[test]
fn a_known_id_has_no_effect_also_after_a_restart() {
    let server = Server::start();
    server.publish(1);
    assert_eq!(server.send(&like("once")), "accepted");
    assert_eq!(server.send(&like("once")), "duplicate");
    server.wait_for("u", "once");
    let server = server.restart();
    assert_eq!(server.send(&like("once")), "duplicate");
    let history = server.get("/v1/users/u/history").expect(200);
    assert_eq!(history["events"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/v1/videos/v0").expect(200)["stats"]["likes"], 1);
}

#[test]
fn of_many_requests_with_one_id_exactly_one_is_accepted() {
    let server = Server::start();
    server.publish(1);
    for round in 0..10 {
        let event = like(&format!("race-{round}"));
        let statuses: Vec<String> = std::thread::scope(|scope| {
            let sent: Vec<_> = (0..8).map(|_| scope.spawn(|| server.send(&event))).collect();
            sent.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|s| *s == "accepted").count(), 1, "{statuses:?}");
        server.wait_for("u", &format!("race-{round}"));
    }
    let history = server.get("/v1/users/u/history?limit=100").expect(200);
    assert_eq!(history["events"].as_array().unwrap().len(), 10);
}

#[test]
fn history_shows_at_once_what_a_feed_has_reflected() {
    let server = Server::start();
    server.publish(60);
    for n in 0..50 {
        let event =
            json!({"id": format!("e{n}"), "user": "u", "video": format!("v{n}"), "kind": "view", "watch_ms": 9});
        assert_eq!(server.send(&event), "accepted");
        server.wait_for("u", &format!("e{n}"));
        let history = server.get("/v1/users/u/history?limit=100").expect(200);
        let events = history["events"].as_array().unwrap();
        assert_eq!((events.len(), &events[0]["id"]), (n + 1, &event["id"]));
    }
}

#[test]
fn what_is_wrong_with_an_event_is_named() {
    let server = Server::start();
    server.publish(1);
    let good = json!({"user": "u", "video": "v0", "kind": "view", "watch_ms": 1000});
    let long = "x".repeat(129);
    for (field, value) in [
        ("kind", json!("teleport")),
        ("watch_ms", json!(-1)),
        ("watch_ms", json!(1.5)),
        ("watch_ms", json!(1_000_000_000_000_u64)),
        ("watch_ms", Value::Null),
        ("user", json!("")),
        ("user", json!(long)),
        ("user", json!("a\u{0}b")),
        ("user", json!(7)),
        ("video", json!("nowhere")),
        ("at", json!("2099-01-01T00:00:00Z")),
        ("at", json!("yesterday")),
        ("id", json!(long)),
        ("surprise", json!(1)),
    ] {
        let mut event = good.clone();
        event[field] = value;
        server.post("/v1/events", &event).problem(422, field);
    }
}

#[test]
fn hostile_bodies_are_refused_and_do_no_harm() {
    let server = Server::start_with("server.body_limit_kb = 512");
    server.publish(1);
    let many = json!({"events": vec![like("a"); 1001]}).to_string();
    let nested = format!("{{\"events\": [{{\"user\": {}", "[".repeat(100_000));
    let cases: [(&[u8], u16); 14] = [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{} {}", 400),
        (b"\xff\xfe{}", 400),
        (br#"{"user":"u","video":"v","kind":"view","watch_ms":NaN}"#, 400),
        (&[b'['; 100_000], 400),
        (nested.as_bytes(), 400),
        (br#"{"events": []}"#, 422),
        (br#"{"events": 5}"#, 422),
        (br#"{"user":"u","user":"w","video":"v0","kind":"like"}"#, 422),
        (many.as_bytes(), 422),
        (&[b' '; 600 * 1024], 413),
    ];
    for (body, status) in cases {
        server.post_raw("/v1/events", "application/json", body).problem(status, "");
    }
    for media_type in ["application/x-www-form-urlencoded", "text/plain", "application/jsonp", ""] {
        server.post_raw("/v1/events", media_type, b"{}").problem(415, "");
    }
    let good = like("z").to_string();
    let answer = server.post_raw("/v1/events", "Application/JSON; charset=utf-8", good.as_bytes());
    assert_eq!(answer.expect(202)["accepted"], 1);
}
