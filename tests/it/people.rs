//! Users: profiles, cold start, erasure.

use serde_json::json;

use crate::server::Server;

#[test]
fn a_profile_comes_back_as_it_was_put() {
    let server = Server::start();
    server.get("/v1/users/u").problem(404, "");
    let profile = json!({"age": 27, "country": "DE", "gender": "female", "language": "de"});
    server.put("/v1/users/u", &profile).expect(201);
    server.put("/v1/users/u", &json!({"age": 28, "country": "DE"})).expect(200);
    assert_eq!(server.get("/v1/users/u").expect(200), json!({"id": "u", "age": 28, "country": "DE"}));
    let server = server.restart();
    assert_eq!(server.get("/v1/users/u").expect(200)["age"], 28);
    for (field, value) in
        [("age", json!(7)), ("age", json!("old")), ("country", json!("Atlantis")), ("height", json!(1))]
    {
        server.put("/v1/users/u", &json!({field: value})).problem(422, field);
    }
}

#[test]
fn profiles_in_bulk_are_judged_one_by_one() {
    let server = Server::start();
    let users = json!({"users": [{"id": "a", "age": 20}, {"id": "b", "age": 7}, {"age": 20}]});
    let body = server.post("/v1/users", &users).expect(202);
    let statuses: Vec<_> = body["results"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["accepted", "rejected", "rejected"]);
    server.get("/v1/users/a").expect(200);
    server.get("/v1/users/b").problem(404, "");
    server.post("/v1/users", &json!({"users": [{"id": "b", "age": 7}]})).problem(422, "age");
    server.post("/v1/users", &json!({"people": []})).problem(422, "people");
}

#[test]
fn an_unknown_person_gets_a_feed_and_has_no_history() {
    let server = Server::start();
    server.publish(30);
    let feed = server.get("/v1/users/nobody/feed?limit=10").expect(200);
    assert_eq!(feed["user"], "nobody");
    let items = feed["items"].as_array().unwrap();
    let positions: Vec<_> = items.iter().map(|i| i["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (0..10).collect::<Vec<_>>());
    server.get("/v1/users/nobody/history").problem(404, "");
}

#[test]
fn an_erased_person_is_unknown_everywhere() {
    let server = Server::start();
    server.publish(3);
    server.put("/v1/users/u", &json!({"age": 40})).expect(201);
    server.send(&json!({"id": "e", "user": "u", "video": "v0", "kind": "like"}));
    server.wait_for("u", "e");
    assert_eq!(server.delete("/v1/users/u").status, 204);
    server.delete("/v1/users/u").problem(404, "");
    for _ in 0..2 {
        server.get("/v1/users/u").problem(404, "");
        server.get("/v1/users/u/history").problem(404, "");
        server.get("/v1/users/u/feed").expect(200);
    }
    let server = server.restart();
    server.get("/v1/users/u").problem(404, "");
}
