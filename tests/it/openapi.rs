//! The interface as it is described, held against the running server.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{callers::Guarded, server::Server};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_document_and_its_page_are_served_to_everybody() {
    let guarded = Guarded::start("");
    let document = guarded.ask("GET", "/openapi.json", &[], None);
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    let published = std::fs::read_to_string(root().join("schemas/json/openapi.json")).unwrap();
    assert!(document.text == published, "schemas/json/openapi.json is another");
    let page = guarded.ask("GET", "/docs", &[], None);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for file in page.text.split("href=\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(guarded.ask("GET", &format!("/assets/{file}"), &[], None).status, 200, "{file}");
    }
}

/// The server lists the parameters that it knows where it is given another.
#[test]
fn the_parameters_are_those_that_the_server_reads() {
    let server = Server::start();
    server.publish(1);
    server.put("/v1/users/u", &json!({})).expect(201);
    let document = server.get("/openapi.json").expect(200);
    let mut described = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameters) = item.pointer("/get/parameters").and_then(Value::as_array) else { continue };
        let mut names: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        if names.is_empty() {
            continue;
        }
        let id = if path.starts_with("/v1/videos") { "v0" } else { "u" };
        let answer = server.get(&format!("{}?surprise=1", path.replace("{id}", id))).expect(400);
        // Where something is needed, that is said, too.
        let mut reasons = answer["errors"].as_array().unwrap().iter().map(|error| error["reason"].as_str().unwrap());
        let known = reasons.find_map(|reason| Some(reason.split_once("known are ")?.1)).unwrap();
        let mut known: Vec<&str> = known.split(", ").collect();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known, "{path}");
        described += 1;
    }
    assert_eq!(described, 7);
}

/// Runs a script of ours to its end.
#[track_caller]
fn run(script: &str, arguments: &[&str], key: &str) {
    let output = Command::new(root().join("scripts").join(script))
        .args(arguments)
        .env("FORYOU_KEY", key)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let [said, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{script} {arguments:?}:\n{said}\n{error}");
}

/// Keys on, a key for everything, people, videos and what they did.
fn lived_in() -> (Guarded, String) {
    let guarded = Guarded::start("access.limits.key_per_s = 0");
    let key = guarded.key("events,catalogue,feed,admin", &[]);
    guarded.until("GET", "/v1/trending", &key, 200);
    let authorization = format!("Bearer {key}");
    let post = |path: &str, body: Value| {
        let answer = guarded.ask("POST", path, &[("authorization", &authorization)], Some(&body));
        assert_eq!(answer.status, 202, "{}", answer.text);
    };
    let video = |n: u32| json!({"id": format!("v{n}"), "creator": format!("c{}", n % 7), "category": "cooking", "duration_ms": 15_000 + n});
    post("/v1/videos", json!({"videos": (0..40).map(video).collect::<Vec<_>>()}));
    post("/v1/users", json!({"users": [{"id": "u1", "age": 27, "country": "DE", "language": "de"}, {"id": "u2"}]}));
    let event = |n: u32| json!({"id": format!("e{n}"), "user": "u1", "video": format!("v{n}"), "kind": "follow"});
    post("/v1/events", json!({"events": (0..20).map(event).collect::<Vec<_>>()}));
    (guarded, key)
}

#[test]
fn schemathesis_finds_no_answer_that_is_not_as_described() {
    let (guarded, key) = lived_in();
    run("conformance.sh", &[&guarded.server.base], &key);
}

#[test]
fn clients_that_are_generated_from_the_document_work() {
    let (guarded, key) = lived_in();
    run("clients.sh", &[&guarded.server.base], &key);
}
