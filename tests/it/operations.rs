//! Health, metrics, request ids, overload.

use crate::server::Server;

#[test]
fn a_running_server_is_healthy_and_tells_its_metrics() {
    let server = Server::start();
    server.get("/healthz").expect(200);
    // Services become ready on their own time; until then the answer is 503 with the reason.
    while server.get("/readyz").status != 200 {
        server.get("/healthz").expect(200);
    }
    server.get("/v1/users/some%20one/feed").expect(200);
    server.get("/v1/nowhere").problem(404, "");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        r#"foryou_http_request_seconds_count{method="GET",route="/v1/users/{id}/feed",status="200"} 1"#,
        r#"foryou_http_request_seconds_count{method="GET",route="unknown",status="404"} 1"#,
        "foryou_http_in_flight 0.0",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in\n{}", metrics.text);
    }
}

#[test]
fn every_answer_carries_a_request_id() {
    let server = Server::start();
    for path in ["/healthz", "/v1/nowhere", "/v1/users/u/feed?limit=x"] {
        assert_eq!(server.get_with(path, ("x-request-id", "mine-7")).header("x-request-id"), "mine-7");
        let given = server.get_with(path, ("x-request-id", "not mine")).header("x-request-id").to_owned();
        assert!(given.len() == 32 && given != server.get(path).header("x-request-id"), "{given}");
    }
}

/// The names of metrics in an expression of Prometheus.
fn named(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("foryou_"))
}

#[test]
fn every_metric_of_the_dashboard_is_told() {
    // With models, so that there is an index.
    let server = Server::start_on(crate::world::World::shared().active(), "").ready();
    server.get("/v1/users/u1/feed").expect(200);
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards/foryou.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(expressions.len() > 40);
    let metrics = server.get("/metrics").text;
    let told: std::collections::HashSet<&str> =
        metrics.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    for name in expressions.iter().flat_map(|expression| named(expression)) {
        assert!(told.contains(name), "{name} is not told at /metrics");
    }
}

#[test]
fn the_consoles_figures_are_those_of_the_metrics() {
    let server = Server::start().ready();
    server.publish(2);
    for n in 0..3 {
        server.send(&serde_json::json!({"id": format!("e{n}"), "user": "u", "video": "v0", "kind": "like"}));
        server.wait_for("u", &format!("e{n}"));
    }
    let metrics = server.get("/metrics").text;
    for line in
        ["foryou_events_total{status=\"accepted\"} 3", "foryou_freshness_seconds_count 3", "foryou_sessions 1.0"]
    {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let freshness = server.get("/admin/api/freshness").expect(200);
    assert_eq!(freshness["since_start"]["count"], 3);
    let start = server.get("/admin/api/start").expect(200);
    let figures: Vec<&str> = start["figures"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    // The observatory takes a row a second; the first has nothing to compare with.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let history = loop {
        let history = server.get(&format!("/admin/api/history?figures={}", figures.join(","))).expect(200);
        if history["t"].as_array().unwrap().len() > 1 {
            break history;
        }
        assert!(std::time::Instant::now() < until, "the observatory takes no figures");
    };
    assert_eq!(history["series"].as_array().unwrap().len(), figures.len());
    let sessions = server.get("/admin/api/sessions").expect(200);
    assert_eq!(sessions["busiest"][0]["user"], "u");
    let person = server.get("/admin/api/people/u").expect(200);
    assert_eq!((&person["seq"], &person["resident"]), (&serde_json::json!(3), &serde_json::json!(true)));
    server.get("/admin/api/people/nobody").problem(404, "");
    // A change has to come from the console's own pages.
    server.post("/admin/api/services/ingest/restart", &serde_json::json!({})).problem(403, "");
    // To look changes nothing: nobody's session, and no impression.
    let before = server.get("/admin/api/people/u").expect(200);
    let seen = server.get("/admin/api/people/u/feed?limit=2").expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "one of two videos was liked");
    assert_eq!(server.get("/admin/api/people/u").expect(200)["served"], before["served"]);
}
