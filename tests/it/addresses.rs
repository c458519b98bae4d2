//! Paths, methods and query parameters.

use crate::server::Server;

#[test]
fn ids_in_paths_are_decoded_strictly() {
    let server = Server::start();
    let long = format!("/v1/users/{}", "z".repeat(129));
    for path in
        [long.as_str(), "/v1/users/%00", "/v1/users/%ff%fe", "/v1/users/%zz", "/v1/users/%C3", "/v1/users/a%0Ab"]
    {
        server.get(path).problem(400, "id");
        server.get(&format!("{path}/feed")).problem(400, "id");
        server.delete(path).problem(400, "id");
    }
    let odd = "/v1/users/a%2Fb%20%C3%BC+%25";
    server.put(odd, &serde_json::json!({"age": 30})).expect(201);
    assert_eq!(server.get(odd).expect(200)["id"], "a/b ü+%");
}

#[test]
fn query_parameters_are_read_strictly() {
    let server = Server::start();
    for bad in ["0", "101", "-1", "abc", "1.5", "", "%31%30%30%30", "+5"] {
        server.get(&format!("/v1/users/u/feed?limit={bad}")).problem(400, "limit");
        server.get(&format!("/v1/users/u/history?limit={bad}")).problem(400, "limit");
        server.get(&format!("/v1/trending?limit={bad}")).problem(400, "limit");
    }
    for (query, field) in [
        ("lmit=5", "lmit"),
        ("limit=5&limit=6", "limit"),
        ("after=", "after"),
        ("wait_ms=2001", "wait_ms"),
        ("explain=yes", "explain"),
        ("country=Atlantis", "country"),
        ("surface=%00", "surface"),
    ] {
        server.get(&format!("/v1/users/u/feed?{query}")).problem(400, field);
    }
    let answer = server.get("/v1/trending?window=1y");
    answer.problem(400, "window");
    assert!(answer.text.contains("6h, 2d, 14d"));
}

#[test]
fn unknown_routes_and_methods_are_problems() {
    let server = Server::start();
    for path in ["/v1", "/nothing", "/v1/no-such-route", "/v1/users//feed", "/v1/users/u/feed/x", "/healthz/"] {
        server.get(path).problem(404, "");
    }
    let answer = server.delete("/v1/events");
    answer.problem(405, "");
    assert_eq!(answer.header("allow"), "POST");
    let answer = server.post("/v1/users/u", &serde_json::json!({}));
    answer.problem(405, "");
    assert_eq!(answer.header("allow"), "PUT, GET, DELETE");
}
