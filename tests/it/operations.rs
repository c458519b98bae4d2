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
