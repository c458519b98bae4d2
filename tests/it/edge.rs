//! The edge of the server: TLS, origins, limits, and addresses that others can reach.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream, pki_types::CertificateDer};
use tempfile::TempDir;

use crate::{
    callers::{Guarded, keys, token},
    server::Server,
};

#[test]
fn a_key_and_a_person_who_ask_too_often_wait() {
    let guarded =
        Guarded::start("access.limits = { key_per_s = 0.01, key_burst = 5, person_per_s = 0.01, person_burst = 2 }\n");
    let (one, other) = (guarded.key("feed", &[]), guarded.key("feed", &[]));
    guarded.until("GET", "/v1/trending", &other, 200);
    let ask =
        |path: &str, bearer: &str| guarded.ask("GET", path, &[("authorization", &format!("Bearer {bearer}"))], None);
    for _ in 0..5 {
        ask("/v1/trending", &one).expect(200);
    }
    let answer = ask("/v1/trending", &one);
    answer.problem(429, "");
    assert!((1..=100).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    ask("/v1/trending", &other).expect(200);
    let (ann, bob) = (token("ann", 60), token("bob", 60));
    for _ in 0..2 {
        ask("/v1/users/ann/feed", &ann).expect(200);
    }
    // A new token does not make a new person.
    ask("/v1/users/ann/feed", &token("ann", 50)).problem(429, "");
    ask("/v1/users/bob/feed", &bob).expect(200);
    let metrics = guarded.ask("GET", "/metrics", &[("cookie", &guarded.log_in().0)], None).text;
    assert!(metrics.contains(r#"foryou_access_refused_total{reason="too_often"} 2"#), "{metrics}");
}

#[test]
fn pages_elsewhere_are_answered_if_they_are_listed() {
    let server = Server::start_with("access.origins = \"https://app.example https://b.example:8443\"\n");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let ask = |method: &str, origin: &str, more: &[(&str, &str)]| {
        let headers = [&[("origin", origin)], more].concat();
        crate::callers::ask(&agent, method, &format!("{}/v1/trending", server.base), &headers, None)
    };
    let allowed = "access-control-allow-origin";
    assert_eq!(ask("GET", "https://app.example", &[]).header(allowed), "https://app.example");
    assert_eq!(ask("GET", "https://evil.example", &[]).header(allowed), "");
    let preflight = [("access-control-request-method", "GET"), ("access-control-request-headers", "authorization")];
    let answer = ask("OPTIONS", "https://b.example:8443", &preflight);
    assert_eq!((answer.status, answer.header(allowed)), (200, "https://b.example:8443"), "{answer:?}");
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(ask("OPTIONS", "https://evil.example", &preflight).header(allowed), "");
    // Nobody is listed: closed.
    let closed = Server::start();
    let headers = [("origin", "https://app.example"), preflight[0], preflight[1]];
    let answer = crate::callers::ask(&agent, "OPTIONS", &format!("{}/v1/trending", closed.base), &headers, None);
    assert_eq!((answer.status, answer.header(allowed)), (405, ""));
}

/// Writes a self-signed certificate for 127.0.0.1, and gives it to those who are to trust it.
fn certificate(dir: &std::path::Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

/// What a server answers to a client that trusts this certificate only.
fn over_tls(address: &str, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let mut client = ClientConnection::new(config, "127.0.0.1".try_into().unwrap()).unwrap();
    let mut socket = TcpStream::connect(address)?;
    let mut stream = Stream::new(&mut client, &mut socket);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    // The end of the connection may come without TLS's own goodbye.
    match stream.read_to_string(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

#[test]
fn it_speaks_tls_and_takes_a_new_certificate_while_it_runs() {
    let beside = TempDir::new().unwrap();
    let first = certificate(beside.path());
    let tls = format!(
        "server.tls = {{ cert = {:?}, key = {:?} }}\n",
        beside.path().join("cert.pem"),
        beside.path().join("key.pem")
    );
    let server = Server::start_with(&tls);
    let answer = over_tls(server.address(), &first).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("strict-transport-security: max-age="), "{answer}");
    let second = certificate(beside.path());
    let until = Instant::now() + Duration::from_secs(30);
    while over_tls(server.address(), &second).is_err() {
        assert!(Instant::now() < until, "the new certificate is not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(over_tls(server.address(), &first).is_err());
    // Half of a pair is no certificate: the last good one stays.
    std::fs::write(beside.path().join("cert.pem"), "nothing").unwrap();
    assert!(over_tls(server.address(), &second).is_ok());
    let mut plain = TcpStream::connect(server.address()).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

/// Begins a request with these bytes, and sends nothing more.
fn begin(server: &Server, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

const HEAD: &str = "POST /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
const HALF: &str = "content-length: 100\r\n\r\n{\"user\":";

#[test]
fn who_does_not_finish_a_request_is_not_waited_for() {
    let answer = |settings: &str, bytes: &str| {
        let server = Server::start_with(settings);
        let mut answer = String::new();
        begin(&server, bytes).read_to_string(&mut answer).unwrap();
        answer
    };
    let head = answer("server.head_timeout_ms = 100\n", HEAD);
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    let late_body = "server.head_timeout_ms = 600000\nserver.body_timeout_ms = 100\n";
    let body = answer(late_body, &format!("{HEAD}{HALF}"));
    assert!(body.starts_with("HTTP/1.1 408 ") && body.contains("application/problem+json"), "{body}");
}

#[test]
fn more_work_than_there_is_room_for_is_refused() {
    let server = Server::start_with("server.max_in_flight = 1\nserver.body_timeout_ms = 600000\n");
    let until_at_work = |count: &str| {
        let until = Instant::now() + Duration::from_secs(60);
        while !server.get("/metrics").text.contains(&format!("\nforyou_http_in_flight {count}\n")) {
            assert!(Instant::now() < until, "not {count} at work");
        }
    };
    let unfinished = begin(&server, &format!("{HEAD}{HALF}"));
    until_at_work("1.0");
    let refused = server.get("/v1/trending");
    refused.problem(503, "");
    assert_eq!(refused.header("retry-after"), "1");
    // Health and metrics always have room.
    server.get("/healthz").expect(200);
    drop(unfinished);
    until_at_work("0.0");
    server.get("/v1/trending").expect(200);
}

#[test]
fn an_address_that_others_reach_is_refused_without_keys() {
    let dir = TempDir::new().unwrap();
    let serve = |settings: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foryou"));
        command.args(["serve", "--bind", "0.0.0.0:0"]).env("FORYOU__DATA__DIR", dir.path());
        let output = command.envs(settings.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = serve(&[]);
    assert_eq!(code, Some(1));
    for way in ["foryou keys create", "access.tokens.keys", "access.mode = \"on\"", "open-to-everyone"] {
        assert!(said.contains(way), "{way} is not in {said}");
    }
    // What is set up wrongly is told, and not shown.
    for (setting, value, says) in [
        ("FORYOU__ACCESS__ADMIN__USERS", "anna:hunter2", "access.admin.users"),
        ("FORYOU__ACCESS__TOKENS__KEYS", "no/such/file", "no/such/file"),
        ("FORYOU__ACCESS__ORIGINS", "*", "access.origins"),
        ("FORYOU__CLUSTER__SECRET", "hunter2", "cluster.secret"),
        ("FORYOU__SERVER__TLS__CERT", "cert.pem", "server.tls"),
    ] {
        let (code, said) = serve(&[("FORYOU__ACCESS__MODE", "on"), (setting, value)]);
        assert!(code == Some(1) && said.contains(says), "{setting}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn loopback_is_open_until_there_is_a_key_and_shut_after_the_next_start() {
    let server = Server::start();
    server.get("/v1/trending").expect(200);
    let made = keys(server.dir(), &["create", "--scope", "feed"]);
    server.get("/v1/trending").expect(200);
    let server = server.restart();
    server.get("/v1/trending").problem(401, "");
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    server.get_with("/v1/trending", ("authorization", &key)).expect(200);
    // A revoked key opens nothing again.
    keys(server.dir(), &["revoke", made["id"].as_str().unwrap()]);
    let server = server.restart();
    server.get("/v1/trending").problem(401, "");
}
