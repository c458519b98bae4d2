//! What goes on while the store or the bus does not.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    faults::{Mode, Switch},
    server::{Answer, Server},
};

const SETTINGS: &str = "feed = { session_budget_ms = 300, budget_ms = 10000, source_budget_ms = 10000 }";

fn start(dir: &Path, store: &Switch) -> Server {
    Server::start_at("127.0.0.1:0", dir, SETTINGS, store.store()).ready()
}

fn like(id: &str) -> Value {
    json!({"id": id, "user": "u", "video": "v0", "kind": "like"})
}

/// What a feed says about the session, and how long it took.
fn feed(server: &Server, path: &str) -> (Vec<String>, Duration) {
    let began = Instant::now();
    let feed = server.get(path).expect(200);
    assert!(!feed["items"].as_array().unwrap().is_empty());
    let degraded = feed["degraded"].as_array().unwrap().iter().map(|d| d.as_str().unwrap().to_owned());
    (degraded.filter(|d| !d.starts_with("models")).collect(), began.elapsed())
}

#[track_caller]
fn come_back_later(answer: &Answer) {
    answer.problem(503, "");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|s| s >= 1), "{answer:?}");
}

#[test]
fn a_store_that_takes_its_time_is_asked_while_the_bus_takes_the_events() {
    let (dir, store) = (TempDir::new().unwrap(), Switch::new());
    let server = start(dir.path(), &store);
    server.publish(1);
    assert_eq!(server.send(&like("before")), "accepted");
    server.wait_for("u", "before");
    drop(server);

    let server = start(dir.path(), &store);
    store.set(Mode::Slow);
    let answer = server.post("/v1/events", &json!({"events": [like("before"), like("new"), like("new")]})).expect(202);
    let statuses: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!((answer["accepted"].as_u64(), &statuses[..]), (Some(1), &["duplicate", "accepted", "duplicate"][..]));
    assert_eq!(server.post("/v1/events", &json!({"events": [like("before")]})).expect(202)["accepted"], 0);
    server.wait_for("u", "new");
    let history = server.get("/v1/users/u/history").expect(200);
    assert_eq!(history["events"].as_array().unwrap().len(), 2);
}

#[test]
fn events_are_accepted_while_the_store_is_away_and_applied_once() {
    let (dir, store) = (TempDir::new().unwrap(), Switch::new());
    let server = start(dir.path(), &store);
    server.publish(1);
    assert_eq!(server.send(&like("before")), "accepted");
    server.wait_for("u", "before");
    server.get("/v1/users/u/history").expect(200);
    drop(server);

    // The edge has forgotten what it accepted: only the store could tell.
    let server = start(dir.path(), &store);
    for (mode, id) in [(Mode::Fails, "failing"), (Mode::Hangs, "hanging")] {
        store.set(mode);
        let began = Instant::now();
        assert_eq!(server.send(&like(id)), "accepted");
        assert_eq!(server.send(&like(&format!("{id}-too"))), "accepted");
        assert!(began.elapsed() < Duration::from_secs(2), "{mode:?}: {:?}", began.elapsed());
    }
    assert_eq!(server.send(&like("before")), "accepted");
    assert_eq!(server.send(&json!({"user": "u", "video": "v0", "kind": "like"})), "accepted");
    assert!(server.get("/metrics").text.contains("foryou_events_unchecked_total 5"));
    store.set(Mode::Well);
    assert_eq!(server.send(&like("after")), "accepted");
    assert_eq!(server.send(&like("hanging")), "duplicate");
    for id in ["failing", "failing-too", "hanging", "hanging-too", "after"] {
        server.wait_for("u", id);
    }
    let history = server.get("/v1/users/u/history").expect(200);
    let mut ids: Vec<_> = history["events"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    ids.retain(|id| !id.starts_with("e-"));
    ids.sort_unstable();
    assert_eq!(ids, ["after", "before", "failing", "failing-too", "hanging", "hanging-too"]);
}

#[test]
fn who_is_in_memory_is_served_without_the_store_and_who_is_not_as_somebody_new() {
    let (dir, store) = (TempDir::new().unwrap(), Switch::new());
    let server = start(dir.path(), &store);
    server.publish(200);
    server.send(&like("e"));
    server.wait_for("u", "e");
    for mode in [Mode::Fails, Mode::Hangs] {
        store.set(mode);
        for path in ["/v1/users/u/feed", "/v1/users/u/feed?after=e", "/v1/trending", "/v1/videos/v0"] {
            let began = Instant::now();
            let answer = server.get(path).expect(200);
            assert!(began.elapsed() < Duration::from_millis(300), "{mode:?}, {path}: {:?}", began.elapsed());
            assert!(answer["degraded"].as_array().is_none_or(|d| *d == [json!("models: no release")]), "{answer}");
        }
        let (degraded, took) = feed(&server, "/v1/users/u/feed?after=nothing&wait_ms=100");
        assert_eq!(degraded, ["after: not applied in 100 ms"]);
        assert!(took < Duration::from_millis(300), "{took:?}");
        let (degraded, took) = feed(&server, &format!("/v1/users/asleep-{mode:?}/feed"));
        match mode {
            Mode::Fails => assert!(degraded.len() == 1 && degraded[0].starts_with("session: "), "{degraded:?}"),
            _ => assert_eq!(degraded, ["session: timeout"]),
        }
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    store.set(Mode::Well);
    let until = Instant::now() + Duration::from_secs(10);
    while !feed(&server, "/v1/users/asleep-Hangs/feed").0.is_empty() {
        assert!(Instant::now() < until, "the person does not come back");
    }
}

#[test]
fn changes_are_refused_while_the_store_is_away() {
    let (dir, store) = (TempDir::new().unwrap(), Switch::new());
    let server = start(dir.path(), &store);
    server.publish(1);
    let video = json!({"creator": "c", "category": "x", "duration_ms": 10_000});
    store.set(Mode::Fails);
    come_back_later(&server.put("/v1/users/u", &json!({"age": 30})));
    come_back_later(&server.get("/v1/users/u"));
    come_back_later(&server.get("/v1/users/u/history"));
    come_back_later(&server.delete("/v1/users/u"));
    come_back_later(&server.post("/v1/users", &json!({"users": [{"id": "u"}]})));
    come_back_later(&server.put("/v1/videos/v", &video));
    come_back_later(&server.delete("/v1/videos/v0"));
    store.set(Mode::Hangs);
    std::thread::scope(|scope| {
        scope.spawn(|| come_back_later(&server.put("/v1/users/u", &json!({"age": 30}))));
        scope.spawn(|| come_back_later(&server.put("/v1/videos/v", &video)));
        scope.spawn(|| come_back_later(&server.get("/v1/users/u/history")));
    });
    store.set(Mode::Well);
    server.put("/v1/users/u", &json!({"age": 31})).expect(201);
    server.get("/v1/videos/v0").expect(200);
}

#[test]
fn a_bus_that_is_away_or_full_is_told_to_the_client() {
    let (dir, bus) = (TempDir::new().unwrap(), Switch::new());
    let server = Server::start_at("127.0.0.1:0", dir.path(), "", bus.bus()).ready();
    server.publish(1);
    for (mode, says, retry_after) in [(Mode::Fails, "event bus", "1"), (Mode::Full, "Too many events", "2")] {
        bus.set(mode);
        let answer = server.post("/v1/events", &like("e"));
        answer.problem(503, "");
        assert_eq!(answer.header("retry-after"), retry_after);
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{}", answer.text);
        assert!(!answer.text.contains("switched off"), "{}", answer.text);
    }
    bus.set(Mode::Well);
    assert_eq!(server.send(&like("e")), "accepted", "what was refused is not known");
}

#[test]
fn readiness_names_the_node_what_it_holds_and_what_is_wrong() {
    let (dir, store, bus) = (TempDir::new().unwrap(), Switch::new(), Switch::new());
    let (in_front, behind) = (store.store(), bus.bus());
    let settings = "cluster.node = \"node-a\"\nbus.partitions = 16";
    let server = Server::start_at("127.0.0.1:0", dir.path(), settings, |e| in_front(behind(e))).ready();
    let ready = server.get("/readyz").expect(200);
    assert_eq!(ready, json!({"ready": true, "node": "node-a", "holds": {"count": 16, "ranges": ["p00-p15"]}}));
    for (name, switch) in [("store", &store), ("bus", &bus)] {
        switch.set(Mode::Fails);
        let answer = server.get("/readyz");
        come_back_later(&answer);
        let body = answer.json();
        let reasons: Vec<_> =
            body["errors"].as_array().unwrap().iter().map(|e| e["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, [format!("{name}: switched off by the test")]);
        server.get("/healthz").expect(200);
        switch.set(Mode::Well);
        server.get("/readyz").expect(200);
    }
}
