//! Videos.

use serde_json::json;

use crate::server::Server;

#[test]
fn a_video_comes_back_as_it_was_put() {
    let server = Server::start();
    let video = json!({"creator": "c", "category": "cooking", "duration_ms": 15_300, "title": "Pâté à choux ☕",
        "tags": ["bake", "quick"], "language": "fr", "country": "FR", "age_rating": 0,
        "published_at": "2026-11-01T08:00:00.000Z"});
    server.put("/v1/videos/v", &video).expect(201);
    server.put("/v1/videos/v", &video).expect(200);
    let server = server.restart();
    let body = server.get("/v1/videos/v").expect(200);
    for (key, value) in video.as_object().unwrap() {
        assert_eq!(&body[key], value, "{key}");
    }
    assert_eq!((&body["id"], &body["status"], &body["stats"]["views"]), (&json!("v"), &json!("live"), &json!(0)));
    server
        .put("/v1/videos/w", &json!({"creator": "c", "category": "x", "duration_ms": -5}))
        .problem(422, "duration_ms");
    server.put("/v1/videos/w", &json!({"category": "x", "duration_ms": 5})).problem(422, "creator");
}

#[test]
fn a_removed_video_looks_unknown_and_can_come_back() {
    let server = Server::start();
    server.publish(2);
    assert_eq!(server.delete("/v1/videos/v0").status, 204);
    server.get("/v1/videos/v0").problem(404, "");
    server.get("/v1/videos/v0/similar").problem(404, "");
    server.delete("/v1/videos/v0").problem(404, "");
    server.delete("/v1/videos/nowhere").problem(404, "");
    let server = server.restart();
    server.get("/v1/videos/v0").problem(404, "");
    let video = json!({"creator": "c", "category": "x", "duration_ms": 5});
    server.put("/v1/videos/v0", &video).expect(201);
    server.get("/v1/videos/v0").expect(200);
}

#[test]
fn counts_follow_events() {
    let server = Server::start();
    server.publish(1);
    let events = json!({"events": [
        {"user": "u", "video": "v0", "kind": "view", "watch_ms": 9_000},
        {"id": "last", "user": "u", "video": "v0", "kind": "like"},
    ]});
    server.post("/v1/events", &events).expect(202);
    server.wait_for("u", "last");
    // Statistics are folded right after the session has applied an event; history waits for what comes after that.
    server.get("/v1/users/u/history").expect(200);
    let stats = server.get("/v1/videos/v0").expect(200)["stats"].clone();
    assert_eq!((&stats["views"], &stats["likes"], &stats["impressions"]), (&json!(1), &json!(1), &json!(1)));
}
