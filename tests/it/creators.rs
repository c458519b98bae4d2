//! `GET /v1/users/{id}/creators`.

use serde_json::{Value, json};

use crate::server::Server;

fn publish(server: &Server, creators: usize) {
    let video = |n| json!({"id": format!("v{n}"), "creator": format!("c{n}"), "category": "x", "duration_ms": 10_000});
    let videos: Vec<_> = (0..creators).map(video).collect();
    server.post("/v1/videos", &json!({ "videos": videos })).expect(202);
}

/// What `u` says of the creator `n`, in the second `at`.
fn say(server: &Server, kind: &str, n: usize, at: usize) {
    let id = format!("{kind}-{n}-{at}");
    let at = format!("2026-01-01T00:00:{at:02}.000Z");
    server.send(&json!({"id": id, "user": "u", "video": format!("v{n}"), "kind": kind, "at": at}));
    server.wait_for("u", &id);
}

fn list(page: &Value) -> Vec<String> {
    let rows = page["creators"].as_array().unwrap();
    let row = |row: &Value| {
        format!(
            "{} {} {}",
            row["creator"].as_str().unwrap(),
            row["relation"].as_str().unwrap(),
            &row["since"].as_str().unwrap()[17..19]
        )
    };
    rows.iter().map(row).collect()
}

#[test]
fn whom_a_person_follows_and_blocks_is_told_in_pages_and_outlives_a_restart() {
    let server = Server::start();
    publish(&server, 6);
    server.get("/v1/users/u/creators").problem(404, "");
    for (kind, n, at) in [
        ("follow", 0, 1),
        ("follow", 1, 2),
        ("block", 2, 3),
        ("follow", 3, 4),
        ("follow", 4, 5),
        ("unfollow", 1, 6),
        ("block", 3, 7),
    ] {
        say(&server, kind, n, at);
    }
    let all = ["c3 block 07", "c4 follow 05", "c2 block 03", "c0 follow 01"];
    let page = server.get("/v1/users/u/creators").expect(200);
    assert_eq!((list(&page), page.get("next")), (all.map(str::to_owned).to_vec(), None));
    let server = server.restart();
    let first = server.get("/v1/users/u/creators?limit=3").expect(200);
    assert_eq!(list(&first), all[..3]);
    let next = first["next"].as_str().unwrap();
    let rest = server.get(&format!("/v1/users/u/creators?limit=3&before={next}")).expect(200);
    assert_eq!((list(&rest), rest.get("next")), (vec![all[3].to_owned()], None));
    server.get("/v1/users/u/creators?before=yesterday").problem(400, "before");
    server.get("/v1/users/u/creators?limit=0").problem(400, "limit");
    // The session is from the table: what is blocked does not come.
    let feed = server.get("/v1/users/u/feed?limit=50").expect(200);
    let shown: Vec<&str> =
        feed["items"].as_array().unwrap().iter().map(|item| item["creator"].as_str().unwrap()).collect();
    assert!(shown.contains(&"c5") && !shown.contains(&"c2") && !shown.contains(&"c3"), "{shown:?}");
    assert_eq!(server.delete("/v1/users/u").status, 204);
    server.get("/v1/users/u/creators").problem(404, "");
    say(&server, "follow", 5, 8);
    assert_eq!(list(&server.get("/v1/users/u/creators").expect(200)), ["c5 follow 08"]);
}
