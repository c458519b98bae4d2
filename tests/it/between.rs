//! Two servers that check who calls: what one has checked the other believes, and nobody else.

use foryou::{
    access::{
        Caller, Scope,
        nodes::{CALLER, FORWARDED, NODE_AUTH, NodeKey},
    },
    config::Secret,
    engines::Engines,
};
use foryou_actors::{
    ports::{bus::Partitions, cluster::Node},
    services::membership::Membership,
};
use foryou_schemas::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    callers::{ask, keys},
    server::{Answer, Server},
};

const PARTITIONS: u16 = 64;
const SECRET: &str = "a secret of this test";

fn start(dir: &TempDir, name: &'static str, held: Partitions, others: Vec<Node>, secret: &str) -> Server {
    let settings = format!("access.mode = \"on\"\naccess.refresh_ms = 100\ncluster.secret = {secret:?}\n");
    let membership = Membership::fixed(name, PARTITIONS, held, others);
    let change = move |engines: Engines| Engines { membership, ..engines };
    Server::start_at("127.0.0.1:0", dir.path(), &settings, change).ready()
}

fn holder(address: &str) -> Node {
    Node {
        name: "node-b".into(),
        address: address.into(),
        incarnation: "1".into(),
        beat: 1,
        started_at: Timestamp::now(),
        held: Partitions::all(PARTITIONS),
        version: "0.1.0".into(),
    }
}

fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    ask(&agent, "GET", &format!("{}{path}", server.base), headers, None)
}

#[test]
fn what_one_node_has_checked_the_other_believes() {
    let (of_a, of_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // Only node-a knows the key: node-b takes its word.
    let made = keys(of_a.path(), &["create", "--scope", "events,feed"]);
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let b = start(&of_b, "node-b", Partitions::all(PARTITIONS), Vec::new(), SECRET);
    let a = start(&of_a, "node-a", Partitions::default(), vec![holder(b.address())], SECRET);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let bearer = [("authorization", key.as_str())];
    let put = ask(&agent, "PUT", &format!("{}/v1/users/u", a.base), &bearer, Some(&json!({"age": 30})));
    put.expect(201);
    assert_eq!(put.header("x-foryou-node"), "node-b");
    assert_eq!(get(&a, "/v1/users/u", &bearer).expect(200)["age"], 30);
    let bulk = json!({"users": [{"id": "w", "age": 40}]});
    ask(&agent, "POST", &format!("{}/v1/users", a.base), &bearer, Some(&bulk)).expect(202);
    assert_eq!(get(&a, "/v1/users/w", &bearer).expect(200)["age"], 40);
    // What is refused is refused before it is passed on, and node-b lets in nobody by itself.
    get(&a, "/v1/users/u", &[]).problem(401, "");
    get(&b, "/v1/users/u", &bearer).problem(401, "");
}

#[test]
fn who_is_no_node_is_not_believed() {
    let (of_a, of_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let b = start(&of_b, "node-b", Partitions::all(PARTITIONS), Vec::new(), SECRET);
    let path = "/v1/users/u/feed";
    let caller = Caller::Key { id: "k".into(), scopes: [Scope::Feed].into_iter().collect() };
    let sent = |secret: &str, path: &str, at: Timestamp| {
        let signed = NodeKey::new(&Secret::new(secret)).unwrap().sign("node-a", "GET", path, &caller, at);
        [(FORWARDED, "node-a".to_owned()), (NODE_AUTH, signed.auth), (CALLER, signed.caller)]
    };
    let with = |headers: &[(&'static str, String)], path: &str| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        get(&b, path, &headers)
    };
    let now = Timestamp::now();
    with(&sent(SECRET, path, now), path).expect(200);
    with(&sent("another secret than ours", path, now), path).problem(401, "");
    with(&sent(SECRET, path, now.plus_millis(-120_000)), path).problem(401, "");
    with(&sent(SECRET, path, now), "/v1/users/w/feed").problem(401, "");
    with(&sent(SECRET, path, now)[..1], path).problem(401, "");
    // A key's word does not open what is for nodes.
    let tallies = "/internal/tallies";
    with(&sent(SECRET, tallies, now), tallies).problem(401, "");
    get(&b, tallies, &[]).problem(401, "");
    let node = Caller::Node { name: "node-a".into() };
    let signed = NodeKey::new(&Secret::new(SECRET)).unwrap().sign("node-a", "GET", tallies, &node, now);
    let word = [(NODE_AUTH, &*signed.auth), (CALLER, &*signed.caller)];
    assert_eq!(get(&b, tallies, &word).status, 200);
    get(&b, path, &word).problem(401, "");
    // A node with another secret is told so, and passes nothing on in circles.
    let made = keys(of_a.path(), &["create", "--scope", "feed"]);
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let a = start(&of_a, "node-a", Partitions::default(), vec![holder(b.address())], "another secret than ours");
    get(&a, path, &[("authorization", &key)]).problem(401, "");
}
