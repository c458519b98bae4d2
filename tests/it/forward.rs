//! Two servers, of which one believes that the other holds some of the people, or all.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use foryou::engines::Engines;
use foryou_actors::{
    ports::{
        bus::{Partitions, partition_of},
        cluster::Node,
    },
    services::membership::Membership,
};
use foryou_schemas::{Timestamp, UserId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use crate::server::{Answer, Server};

const PARTITIONS: u16 = 64;
/// Nothing is too late but what another node owes, and nodes ask each other for nothing by themselves.
const SETTINGS: &str = "cluster = { forward_timeout_ms = 300, statistics_ms = 600000 }
feed = { budget_ms = 10000, source_budget_ms = 10000 }";

/// A server with a folder of its own, that holds `held`, and knows others by what they hold.
struct Site {
    server: Server,
    _dir: TempDir,
}

fn node(name: &str, address: &str, held: Partitions) -> Node {
    Node {
        name: name.into(),
        address: address.into(),
        incarnation: "1".into(),
        beat: 1,
        started_at: Timestamp::now(),
        held,
        version: "0.1.0".into(),
    }
}

fn site(name: &'static str, held: Partitions, others: Vec<Node>) -> Site {
    let dir = TempDir::new().unwrap();
    let change =
        move |engines: Engines| Engines { membership: Membership::fixed(name, PARTITIONS, held, others), ..engines };
    let server = Server::start_at("127.0.0.1:0", dir.path(), SETTINGS, change).ready();
    Site { server, _dir: dir }
}

/// node-b, which holds everybody, and node-a, which knows that.
fn pair() -> (Site, Site) {
    let b = site("node-b", Partitions::all(PARTITIONS), Vec::new());
    let a = beside(b.server.address());
    (a, b)
}

/// node-a, which believes that node-b holds everybody and is at `address`.
fn beside(address: &str) -> Site {
    site("node-a", Partitions::default(), vec![node("node-b", address, Partitions::all(PARTITIONS))])
}

fn degraded(feed: &Value) -> Vec<&str> {
    let reasons = feed["degraded"].as_array().unwrap().iter().map(|d| d.as_str().unwrap());
    reasons.filter(|reason| !reason.starts_with("models")).collect()
}

#[track_caller]
fn come_back_later(answer: &Answer) {
    answer.problem(503, "");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("x-foryou-node"), "node-a");
}

#[test]
fn whoever_is_asked_the_node_that_holds_the_person_answers() {
    let (a, b) = pair();
    let (a, b) = (&a.server, &b.server);
    b.publish(30);
    let odd = "/v1/users/a%2Fb%20%C3%BC+%25";
    let put = a.put(odd, &json!({"age": 30, "country": "DE"}));
    put.expect(201);
    assert_eq!(put.header("x-foryou-node"), "node-b");
    assert_eq!(b.get(odd).expect(200)["id"], "a/b ü+%");
    assert_eq!(b.get(odd).header("x-foryou-node"), "node-b");
    assert_eq!(a.get(odd).expect(200), b.get(odd).expect(200));

    b.send(&json!({"id": "e", "user": "u", "video": "v7", "kind": "like"}));
    let feed = a.get("/v1/users/u/feed?limit=30&after=e&wait_ms=2000").expect(200);
    assert_eq!((degraded(&feed), feed["items"].as_array().unwrap().len()), (vec![], 29));
    let history = a.get_with("/v1/users/u/history?limit=5", ("x-request-id", "mine-7"));
    assert_eq!(history.expect(200)["events"][0]["id"], "e");
    assert_eq!((history.header("x-request-id"), history.header("x-foryou-node")), ("mine-7", "node-b"));
    a.get("/v1/users/u/feed?limit=0&surprise=1").problem(400, "surprise");
    let answer = a.get("/v1/users/u/feed/why?video=v7&after=e&wait_ms=2000");
    assert_eq!(answer.header("x-foryou-node"), "node-b");
    assert_eq!(answer.expect(200)["reason"], "seen");
    let late = a.get("/v1/users/u/feed?after=never&wait_ms=1000").expect(200);
    assert_eq!(degraded(&late), ["after: not applied in 1000 ms"], "what waits on purpose is waited for");
    a.post("/v1/users/u", &json!({})).problem(405, "");
    assert_eq!(a.delete("/v1/users/u").status, 204);
    a.delete("/v1/users/u").problem(404, "");
    b.get("/v1/users/u/history").problem(404, "");
    let metrics = a.get("/metrics").text;
    assert!(metrics.contains(r#"foryou_forward_seconds_count{outcome="answered"} 10"#), "{metrics}");
}

#[test]
fn what_is_wrong_with_a_body_is_told_before_it_goes_anywhere() {
    let a = beside("127.0.0.1:9").server;
    a.put("/v1/users/%ff", &json!({})).problem(400, "id");
    let put = |media_type: &str, body: &str| {
        let mut stream = TcpStream::connect(a.address()).unwrap();
        let head = format!("PUT /v1/users/u HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {media_type}");
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].to_owned()
    };
    assert_eq!(put("text/plain", "{}"), "415");
    assert_eq!(put("application/json", &" ".repeat(2_100_000)), "413");
    assert_eq!(put("application/json", "{}"), "503");
}

#[test]
fn a_request_that_was_passed_on_is_not_passed_on_again() {
    let (a, b) = pair();
    let (a, b) = (&a.server, &b.server);
    a.publish(30);
    let answer = a.get_with("/v1/users/u/feed", ("x-foryou-forwarded", "node-c"));
    assert_eq!(answer.header("x-foryou-node"), "node-a");
    let feed = answer.expect(200);
    assert_eq!(degraded(&feed), ["owner: node-c and node-a do not agree yet on who it is"]);
    assert_eq!(feed["items"].as_array().unwrap().len(), 20);
    a.get_with("/v1/users/u", ("x-foryou-forwarded", "node-c")).problem(404, "");
    let changed = ureq::put(format!("{}/v1/users/u", a.base))
        .header("x-foryou-forwarded", "node-c")
        .config()
        .http_status_as_error(false)
        .build()
        .send_json(json!({"age": 30}));
    assert_eq!(changed.unwrap().status(), 503);
    b.get("/v1/users/u").problem(404, "");
}

#[test]
fn where_the_node_does_not_answer_the_store_does_and_nothing_changes() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), closed] {
        let a = with_history(&address.to_string());
        let began = Instant::now();
        let feed = a.server.get("/v1/users/u/feed?limit=30&after=e").expect(200);
        // The profile, what was seen, and the event are out of the store.
        assert_eq!(
            (degraded(&feed), feed["items"].as_array().unwrap().len()),
            (vec!["owner: node-b does not answer"], 29)
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let feed = a.server.get("/v1/users/u/feed?limit=30&after=later&wait_ms=0").expect(200);
        assert_eq!(degraded(&feed), ["owner: node-b does not answer", "after: not in the store yet"]);
        assert_eq!(a.server.get("/v1/users/u").expect(200)["age"], 30);
        assert_eq!(a.server.get("/v1/users/u/history").expect(200)["events"][0]["id"], "e");
        come_back_later(&a.server.put("/v1/users/u", &json!({"age": 31})));
        come_back_later(&a.server.delete("/v1/users/u"));
        assert_eq!(a.server.get("/v1/users/u").expect(200)["age"], 30);
        let metrics = a.server.get("/metrics").text;
        assert!(metrics.contains(r#"foryou_feed_degraded_total{stage="owner"} 2"#), "{metrics}");
        assert!(metrics.contains(r#"foryou_forward_seconds_count{outcome="failed"} 7"#), "{metrics}");
    }
}

/// node-a with somebody in its store whom another node holds now.
fn with_history(address: &str) -> Site {
    let dir = TempDir::new().unwrap();
    let before = Server::start_in(dir.path(), "").ready();
    before.publish(30);
    before.put("/v1/users/u", &json!({"age": 30})).expect(201);
    before.send(&json!({"id": "e", "user": "u", "video": "v7", "kind": "like"}));
    before.wait_for("u", "e");
    drop(before);
    let others = vec![node("node-b", address, Partitions::all(PARTITIONS))];
    let membership = Membership::fixed("node-a", PARTITIONS, Partitions::default(), others);
    let change = |engines| Engines { membership, ..engines };
    let server = Server::start_at("127.0.0.1:0", dir.path(), SETTINGS, change).ready();
    Site { server, _dir: dir }
}

#[test]
fn while_a_partition_changes_hands_the_store_answers() {
    let a = site("node-a", Partitions::default(), Vec::new());
    a.server.publish(30);
    let answer = a.server.get("/v1/users/u/feed");
    let feed = answer.expect(200);
    let [reason] = degraded(&feed)[..] else { panic!("{feed}") };
    assert!(reason.starts_with("owner: partition p") && reason.ends_with("is changing hands"), "{reason}");
    a.server.get("/v1/users/u").problem(404, "");
    a.server.get("/v1/users/u/history").problem(404, "");
    come_back_later(&a.server.put("/v1/users/u", &json!({"age": 31})));
    come_back_later(&a.server.delete("/v1/users/u"));
    let bulk = a.server.post("/v1/users", &json!({"users": [{"id": "u", "age": 31}]}));
    bulk.problem(503, "");
    a.server.get("/v1/users/u").problem(404, "");
}

#[test]
fn a_node_that_comes_back_is_asked_again() {
    let dir = TempDir::new().unwrap();
    let whole = |e| Engines { membership: Membership::alone("node-b", PARTITIONS), ..e };
    let b = Server::start_at("127.0.0.1:0", dir.path(), "", whole).ready();
    let address = b.address().to_owned();
    let a = beside(&address).server;
    a.publish(3);
    a.put("/v1/users/u", &json!({"age": 30})).expect(201);
    drop(b);
    assert_eq!(degraded(&a.get("/v1/users/u/feed").expect(200)), ["owner: node-b does not answer"]);
    let b = Server::start_at(&address, dir.path(), "", whole).ready();
    assert_eq!(a.put("/v1/users/u", &json!({"age": 31})).expect(200)["age"], 31);
    drop(b);
    // Now with connections that were good a moment ago.
    let _b = Server::start_at(&address, dir.path(), "", whole).ready();
    a.put("/v1/users/u", &json!({"age": 32})).expect(200);
    assert_eq!(a.get("/v1/users/u").expect(200)["age"], 32);
}

#[test]
fn profiles_in_bulk_are_written_where_each_person_is() {
    let ids: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let is_a = |id: &str| partition_of(&UserId::new(id).unwrap(), PARTITIONS) < 32;
    let (low, high): (Partitions, Partitions) = ((0..32).collect(), (32..PARTITIONS).collect());
    let b = site("node-b", high.clone(), vec![node("node-a", "127.0.0.1:9", low.clone())]);
    let a = site("node-a", low.clone(), vec![node("node-b", b.server.address(), high)]);
    let users: Vec<Value> =
        ids.iter().map(|id| json!({"id": id, "age": 40})).chain([json!({"id": "x", "age": 7})]).collect();
    let body = a.server.post("/v1/users", &json!({ "users": users })).expect(202);
    assert_eq!((body["accepted"].as_u64(), body["results"].as_array().unwrap().len()), (Some(100), 101));
    assert_eq!((&body["results"][3]["id"], &body["results"][100]["status"]), (&json!("u3"), &json!("rejected")));
    // Each store has its own people, and nobody else's: node-b does not reach node-a.
    for id in &ids {
        let path = format!("/v1/users/{id}");
        assert_eq!(a.server.get(&path).expect(200)["age"], 40);
        assert_eq!(b.server.get(&path).status, if is_a(id) { 404 } else { 200 });
    }
    // The other way: node-a cannot be asked, so the answer is not 202; who is here is written all the same.
    let users: Vec<Value> = ids.iter().map(|id| json!({"id": id, "age": 41})).collect();
    let answer = b.server.post("/v1/users", &json!({ "users": users }));
    answer.problem(503, "");
    assert!(answer.header("retry-after") == "1" && answer.text.contains("node-a"), "{}", answer.text);
    let theirs = ids.iter().find(|id| !is_a(id)).unwrap();
    assert_eq!(b.server.get(&format!("/v1/users/{theirs}")).expect(200)["age"], 41);
}

/// A server that reads one request per connection, answers with these bytes and hangs up; gives what it read.
fn stub(answers: Vec<&'static str>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let answer = |text: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            stream.write_all(text.as_bytes()).unwrap();
            head.join("\n").to_lowercase()
        };
        answers.into_iter().map(answer).collect()
    });
    (address, thread)
}

#[test]
fn headers_of_one_connection_stay_there_and_the_others_are_passed_on() {
    let (address, asked) = stub(vec![
        "HTTP/1.1 200 OK\r\nconnection: close\r\nkeep-alive: 5\r\netag: \"7\"\r\ncontent-type: text/odd\r\n\
         transfer-encoding: chunked\r\n\r\n3\r\nodd\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it",
        "not HTTP at all\r\n\r\n",
    ]);
    let a = beside(&address.to_string()).server;
    let mut stream = TcpStream::connect(a.address()).unwrap();
    let head = "GET /v1/users/u?x=%2F HTTP/1.1\r\nhost: a\r\nconnection: close, x-secret\r\nte: trailers\r\nx-secret: 1\r\n\
                authorization: Bearer t\r\nx-many: 1\r\nx-many: 2\r\nx-request-id: mine-7\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer = answer.to_lowercase();
    for line in
        ["etag: \"7\"", "content-type: text/odd", "content-length: 3", "x-foryou-node: node-b", "x-request-id: mine-7"]
    {
        assert!(answer.contains(line), "{line} is not in\n{answer}");
    }
    assert!(answer.ends_with("\r\n\r\nodd") && !answer.contains("keep-alive:"), "{answer}");
    // An answer that breaks off, or is none, is no answer.
    for _ in 0..2 {
        a.get("/v1/users/u").problem(404, "");
    }
    drop(a);
    let asked = asked.join().unwrap();
    let asked = &asked[0];
    for line in [
        "get /v1/users/u?x=%2f http/1.1",
        &format!("host: {address}"),
        "x-foryou-forwarded: node-a",
        "authorization: bearer t",
        "x-many: 1\nx-many: 2",
        "x-request-id: mine-7",
    ] {
        assert!(asked.contains(line), "{line} is not in\n{asked}");
    }
    assert!(!asked.contains("x-secret") && !asked.contains("te:") && !asked.contains("connection:"), "{asked}");
}

/// Opens a socket for `u`.
fn open(site: &Site, origin: Option<&str>) -> Result<WebSocket<TcpStream>, String> {
    let stream = TcpStream::connect(site.server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut request = format!("ws://{}/v1/feed/ws?user=u", site.server.address()).into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|refused| refused.to_string())
}

fn say(socket: &mut WebSocket<TcpStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

/// Reads until a message is of this kind.
fn heard(socket: &mut WebSocket<TcpStream>, kind: &str) -> Value {
    loop {
        let Message::Text(text) = socket.read().unwrap_or_else(|error| panic!("{error} before a {kind}")) else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert!(message["type"] != "error", "{message}");
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn a_socket_is_carried_to_the_node_that_holds_the_person() {
    let (a, b) = pair();
    b.server.publish(30);
    let refused = open(&a, Some("https://evil.example")).unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    let mut socket = open(&a, Some(&a.server.base)).unwrap();
    say(&mut socket, &json!({"type": "hello", "buffer": 3}));
    say(&mut socket, &json!({"type": "event", "id": "e", "video": "v7", "kind": "like"}));
    while heard(&mut socket, "feed")["because"] != json!({"kind": "event", "id": "e"}) {}
    assert_eq!(b.server.get("/v1/users/u/history").expect(200)["events"][0]["id"], "e");
    // The other one ends it, and says so here.
    drop(b);
    assert!(heard(&mut socket, "bye")["retry_ms"].as_u64().unwrap() > 0);
    // Nobody is there any more.
    let refused = open(&a, None).unwrap_err();
    assert!(refused.contains("503"), "{refused}");
}

#[test]
fn who_is_carried_is_told_when_the_node_between_stops_and_goes_on_elsewhere() {
    let (a, b) = pair();
    b.server.publish(30);
    let mut socket = open(&a, None).unwrap();
    say(&mut socket, &json!({"type": "hello", "buffer": 3}));
    let resume = heard(&mut socket, "welcome")["resume"].clone();
    let first = heard(&mut socket, "feed");
    let video = first["items"][0]["video"].clone();
    say(&mut socket, &json!({"type": "event", "id": "e", "video": video, "kind": "like"}));
    heard(&mut socket, "ack");
    let stopping = std::thread::spawn(move || drop(a));
    let bye = heard(&mut socket, "bye");
    assert!(bye["retry_ms"].as_u64().unwrap() > 0 && bye["reason"] == "the server stops", "{bye}");
    let mut last = socket.read();
    while !matches!(last, Ok(Message::Close(_))) {
        last = Ok(last.unwrap()).and_then(|_| socket.read());
    }
    // It agrees, and the node does not wait for anything else.
    while socket.read().is_ok() {}
    stopping.join().unwrap();
    // The subscription goes on at the other one.
    let mut again = open(&b, None).unwrap();
    say(&mut again, &json!({"type": "hello", "buffer": 3, "resume": resume}));
    let feed = heard(&mut again, "feed");
    assert_eq!((&feed["because"]["kind"], &feed["from"]), (&json!("start"), &json!(1)), "{feed}");
}
