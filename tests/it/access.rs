//! Who may do what: every route, asked by everybody.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    callers::{Guarded, key_file, keys, token},
    server::Answer,
};

/// Who a route lets in, in this test's own words: a key's scope, a person for themselves, who is logged in at the console.
/// A new route fails this test until it stands here.
const EXPECTED: &[(&str, &str, &[&str])] = &[
    ("POST", "/v1/events", &["events", "own"]),
    ("POST", "/v1/users", &["events"]),
    ("PUT", "/v1/users/{id}", &["events"]),
    ("GET", "/v1/users/{id}", &["events"]),
    ("DELETE", "/v1/users/{id}", &["admin"]),
    ("GET", "/v1/users/{id}/feed", &["feed", "own"]),
    ("GET", "/v1/users/{id}/feed/why", &["feed", "own"]),
    ("GET", "/v1/users/{id}/history", &["feed", "own"]),
    ("GET", "/v1/users/{id}/creators", &["feed", "own"]),
    ("GET", "/v1/feed/ws", &["feed", "own"]),
    ("POST", "/v1/videos", &["catalogue"]),
    ("PUT", "/v1/videos/{id}", &["catalogue"]),
    ("GET", "/v1/videos/{id}", &["catalogue", "feed"]),
    ("DELETE", "/v1/videos/{id}", &["catalogue"]),
    ("GET", "/v1/videos/{id}/similar", &["feed"]),
    ("GET", "/v1/trending", &["feed"]),
    ("GET", "/internal/tallies", &[]),
    ("GET", "/healthz", &["everybody"]),
    ("GET", "/openapi.json", &["everybody"]),
    ("GET", "/docs", &["everybody"]),
    ("GET", "/readyz", &["everybody"]),
    ("GET", "/metrics", &["admin", "console"]),
    ("GET", "/admin/login", &["everybody"]),
    // A form of our own pages only, whoever sends it: a 403, unless it says so.
    ("POST", "/admin/login", &["everybody"]),
    ("POST", "/admin/logout", &["admin", "console"]),
    ("GET", "/assets/{path:.*}", &["everybody"]),
    ("GET", "/", &["everybody"]),
    ("GET", "/demo", &["everybody"]),
    ("GET", "/demo/start", &["feed"]),
    ("GET", "/demo/crowd", &["feed"]),
    ("GET", "/admin/api/start", &["admin", "console"]),
    ("GET", "/admin/api/history", &["admin", "console"]),
    ("GET", "/admin/api/live", &["admin", "console"]),
    ("POST", "/admin/api/services/{id}/restart", &["admin", "console"]),
    ("GET", "/admin/api/audit", &["admin", "console"]),
    ("GET", "/admin/api/quarantine", &["admin", "console"]),
    ("POST", "/admin/api/quarantine/{id}/replay", &["admin", "console"]),
    ("POST", "/admin/api/quarantine/{id}/discard", &["admin", "console"]),
    ("GET", "/admin/api/sessions", &["admin", "console"]),
    ("GET", "/admin/api/people/{id}", &["admin", "console"]),
    ("GET", "/admin/api/people/{id}/feed", &["admin", "console"]),
    ("GET", "/admin/api/people/{id}/feed/why", &["admin", "console"]),
    ("GET", "/admin/api/degraded", &["admin", "console"]),
    ("GET", "/admin/api/freshness", &["admin", "console"]),
    ("GET", "/admin/api/releases", &["admin", "console"]),
    ("POST", "/admin/api/releases/{id}/activate", &["admin", "console"]),
    ("POST", "/admin/api/rollback", &["admin", "console"]),
    ("GET", "/admin/api/training", &["admin", "console"]),
    ("GET", "/admin/api/index", &["admin", "console"]),
    ("GET", "/admin/api/index/recall", &["admin", "console"]),
    ("GET", "/admin/api/store", &["admin", "console"]),
    ("GET", "/admin/api/nodes", &["admin", "console"]),
    ("GET", "/admin", &["admin", "console"]),
    ("GET", "/admin/{page:[^.]*}", &["admin", "console"]),
];

/// An address for a path's pattern.
fn address(path: &str) -> String {
    path.replace("{id}", "u")
        .replace("/feed/ws", "/feed/ws?user=u")
        .replace("{path:.*}", "shared/tokens.css")
        .replace("{page:[^.]*}", "actors")
}

/// A body that names the person `u`, for routes that look into it.
fn body(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("POST", "/v1/events") => Some(json!({"user": "u", "video": "v0", "kind": "like"})),
        ("POST", "/v1/users") => Some(json!({"users": [{"id": "u"}]})),
        ("POST" | "PUT", _) => Some(json!({})),
        _ => None,
    }
}

#[derive(Debug, PartialEq)]
enum Said {
    /// 401, with how to prove who one is.
    WhoAreYou,
    /// 403.
    MayNot,
    /// Whatever the route says itself.
    ComeIn,
}

fn said(answer: &Answer) -> Said {
    match answer.status {
        401 => {
            assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"foryou\""), "{answer:?}");
            answer.problem(401, "");
            Said::WhoAreYou
        }
        403 => {
            answer.problem(403, "");
            Said::MayNot
        }
        status => {
            assert!(status < 500 || status == 503, "{answer:?}");
            Said::ComeIn
        }
    }
}

#[test]
fn every_route_lets_in_whom_it_declares_and_nobody_else() {
    let guarded = Guarded::start("");
    let expected: BTreeMap<_, _> = EXPECTED.iter().map(|(method, path, who)| ((*path, *method), *who)).collect();
    let mut routes: Vec<_> =
        foryou::http::declared().into_iter().map(|(path, method, _)| (path, method.to_string())).collect();
    // The logout comes last: it ends the session that the others are asked with.
    routes.sort_by_key(|(path, _)| path.contains("logout"));
    for (path, method) in &routes {
        assert!(
            expected.contains_key(&(*path, method.as_str())),
            "{method} {path} is new: say in EXPECTED who it is for"
        );
    }
    assert_eq!(routes.len(), expected.len(), "a route in EXPECTED is gone");

    let scopes = ["events", "catalogue", "feed", "admin"].map(|scope| (scope, guarded.key(scope, &[])));
    let all = "events,catalogue,feed,admin";
    let (expired, revoked) = (guarded.key(all, &["--expires", "1ms"]), guarded.key(all, &[]));
    keys(guarded.server.dir(), &["revoke", &revoked]);
    // Revoked last: once the server knows that, it knows all of them.
    guarded.until("GET", "/v1/trending", &revoked, 401);
    guarded.ask(
        "PUT",
        "/v1/videos/v0",
        &[("authorization", &format!("Bearer {}", scopes[1].1))],
        Some(&json!({"creator": "c", "category": "x", "duration_ms": 9000})),
    );
    let (cookie, csrf) = guarded.log_in();
    let (own, other, late) = (token("u", 60), token("o", 60), token("u", -60));
    let wrong = format!("{}x", scopes[0].1);
    let altered = format!("{}x.{}", &own[..own.len() - 8], "abcdef");

    for (path, method) in &routes {
        let who = expected[&(*path, method.as_str())];
        let (address, body) = (address(path), body(method, path));
        let ask = |headers: &[(&str, &str)]| said(&guarded.ask(method, &address, headers, body.as_ref()));
        let bearer = |credential: &str| ask(&[("authorization", &format!("Bearer {credential}"))]);
        let is = |answer: Said, wanted: Said, with: &str| assert_eq!(answer, wanted, "{method} {path} with {with}");
        if who == ["everybody"] {
            // The login's own rule is another test's.
            if *path != "/admin/login" || *method == "GET" {
                is(ask(&[]), Said::ComeIn, "nothing");
                is(bearer(&revoked), Said::ComeIn, "a revoked key");
            }
            continue;
        }
        is(ask(&[]), Said::WhoAreYou, "nothing");
        for (bad, name) in [
            ("", "an empty credential"),
            ("nonsense", "nonsense"),
            ("fy_nobody_secret", "an unknown key"),
            (wrong.as_str(), "a wrong secret"),
            (expired.as_str(), "an expired key"),
            (revoked.as_str(), "a revoked key"),
            (late.as_str(), "an expired token"),
            (altered.as_str(), "an altered token"),
        ] {
            is(bearer(bad), Said::WhoAreYou, name);
        }
        is(ask(&[("authorization", "Basic YTpi")]), Said::WhoAreYou, "a password");
        is(ask(&[("x-foryou-forwarded", "node-b")]), Said::WhoAreYou, "the claim to be a node");
        // A route for nodes only lets nobody else in, and there is no other node here.
        let refused = if *path == "/internal/tallies" { Said::WhoAreYou } else { Said::MayNot };
        for (scope, key) in &scopes {
            let wanted = if who.contains(scope) { Said::ComeIn } else { refused_as(&refused) };
            is(bearer(key), wanted, &format!("a key for {scope}"));
        }
        let wanted = if who.contains(&"own") { Said::ComeIn } else { refused_as(&refused) };
        is(bearer(&own), wanted, "the person's own token");
        is(bearer(&other), refused_as(&refused), "another person's token");
        let (with_cookie, ours) = (("cookie", cookie.as_str()), ("origin", guarded.server.base.as_str()));
        let console = who.contains(&"console");
        let is_change = method != "GET";
        let wanted = match console {
            true if is_change => Said::MayNot,
            true => Said::ComeIn,
            false => Said::WhoAreYou,
        };
        is(ask(&[with_cookie]), wanted, "the console's cookie alone");
        if console && is_change {
            is(ask(&[with_cookie, ours]), Said::MayNot, "no CSRF token");
            is(ask(&[with_cookie, ("x-csrf-token", &csrf)]), Said::MayNot, "no origin");
            let foreign = ("origin", "https://evil.example");
            is(ask(&[with_cookie, foreign, ("x-csrf-token", &csrf)]), Said::MayNot, "a foreign origin");
            is(ask(&[with_cookie, ours, ("x-csrf-token", "0")]), Said::MayNot, "a wrong CSRF token");
            is(ask(&[with_cookie, ours, ("x-csrf-token", &csrf)]), Said::ComeIn, "all that the console sends");
        }
    }
    // The last was the logout.
    assert_eq!(said(&guarded.ask("GET", "/metrics", &[("cookie", &cookie)], None)), Said::WhoAreYou);
}

fn refused_as(refused: &Said) -> Said {
    if *refused == Said::WhoAreYou { Said::WhoAreYou } else { Said::MayNot }
}

#[test]
fn a_person_sends_events_and_reads_in_their_own_name_only() {
    let guarded = Guarded::start("");
    let admin = guarded.key("catalogue,events", &[]);
    let video = json!({"creator": "c", "category": "x", "duration_ms": 9000});
    guarded.until("GET", "/v1/videos/none", &admin, 404);
    let with = |key: &str| format!("Bearer {key}");
    let put = guarded.ask("PUT", "/v1/videos/v0", &[("authorization", &with(&admin))], Some(&video));
    put.expect(201);
    let (ann, bob) = (with(&token("ann", 60)), with(&token("bob / ünï", 60)));
    let like = |user: &str, id: &str| json!({"id": id, "user": user, "video": "v0", "kind": "like"});
    let send = |who: &str, body: Value| guarded.ask("POST", "/v1/events", &[("authorization", who)], Some(&body));
    send(&ann, like("ann", "e1")).expect(202);
    send(&ann, like("bob / ünï", "e2")).problem(403, "");
    // One foreign event, and none of the batch is taken.
    send(&ann, json!({"events": [like("ann", "e3"), like("bob / ünï", "e4")]})).problem(403, "");
    assert_eq!(send(&bob, like("bob / ünï", "e4")).expect(202)["results"][0]["status"], "accepted");
    assert_eq!(send(&ann, like("ann", "e3")).expect(202)["results"][0]["status"], "accepted");
    let get = |who: &str, path: &str| guarded.ask("GET", path, &[("authorization", who)], None);
    get(&bob, "/v1/users/bob%20%2F%20%C3%BCn%C3%AF/feed?after=e4&wait_ms=2000").expect(200);
    let history = get(&bob, "/v1/users/bob%20%2F%20%C3%BCn%C3%AF/history").expect(200);
    assert_eq!(history["events"].as_array().unwrap().len(), 1, "{history}");
    get(&bob, "/v1/users/ann/history").problem(403, "");
    get(&bob, "/v1/users/%ff/history").problem(403, "");
}

#[test]
fn a_running_server_sees_keys_come_and_go_and_no_secret_is_anywhere() {
    let guarded = Guarded::start("");
    let key = guarded.key("feed", &["--name", "the app"]);
    guarded.until("GET", "/v1/trending", &key, 200);
    let id = key.split('_').nth(1).unwrap();
    let listed = keys(guarded.server.dir(), &["list"]);
    assert_eq!((&listed["keys"][0]["id"], &listed["keys"][0]["state"]), (&json!(id), &json!("good")));
    keys(guarded.server.dir(), &["revoke", id]);
    guarded.until("GET", "/v1/trending", &key, 401).problem(401, "");
    let listed = keys(guarded.server.dir(), &["list"]);
    assert_eq!(listed["keys"][0]["state"], "revoked");
    let secret = key.rsplit('_').next().unwrap();
    for file in [key_file(guarded.server.dir())]
        .into_iter()
        .chain(std::fs::read_dir(guarded.server.dir().join("access")).unwrap().map(|entry| entry.unwrap().path()))
    {
        assert!(!std::fs::read_to_string(&file).unwrap().contains(secret), "{}", file.display());
    }
    let audit = guarded.server.dir().join("access");
    let lines: String = std::fs::read_dir(audit)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|is| is == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(lines.contains("key create") && lines.contains("key revoke") && lines.contains(id), "{lines}");
}
