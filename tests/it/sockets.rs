//! Feed sockets, as a client sees them (contract, section 3).

use std::{collections::BTreeMap, net::TcpStream, time::Duration};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client};

use crate::{feeds::PATIENT, server::Server, world::World};

/// How long anything may take, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that keeps its list as the contract says.
struct Client {
    socket: WebSocket<TcpStream>,
    list: BTreeMap<u64, Value>,
    /// Positions below it were watched.
    head: u64,
    seq: u64,
    resume: String,
}

impl Client {
    fn open(server: &Server, user: &str) -> WebSocket<TcpStream> {
        let address = server.address();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        client(format!("ws://{address}/v1/feed/ws?user={user}"), stream).unwrap().0
    }

    fn hello(server: &Server, user: &str, buffer: u64, resume: Option<&str>) -> Self {
        let socket = Self::open(server, user);
        let mut client = Self { socket, list: BTreeMap::new(), head: 0, seq: 0, resume: String::new() };
        let mut hello = json!({"type": "hello", "buffer": buffer});
        if let Some(resume) = resume {
            hello["resume"] = resume.into();
        }
        client.send(&hello);
        client.resume = client.until("welcome")["resume"].as_str().unwrap().to_owned();
        let first = client.until("feed");
        assert_eq!(first["because"], json!({"kind": "start"}));
        client.head = first["from"].as_u64().unwrap();
        client
    }

    fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message; a feed goes into the list.
    fn read(&mut self) -> Value {
        let message = loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => break serde_json::from_str::<Value>(&text).unwrap(),
                Message::Close(_) => return json!({"type": "closed"}),
                _ => {}
            }
        };
        if message["type"] == "feed" {
            let (seq, from) = (message["seq"].as_u64().unwrap(), message["from"].as_u64().unwrap());
            assert!(seq > self.seq, "numbers grow");
            self.seq = seq;
            self.list.retain(|position, _| *position < from.max(self.head));
            for (item, position) in message["items"].as_array().unwrap().iter().zip(from..) {
                assert_eq!(item["position"], position);
                if position >= self.head {
                    self.list.insert(position, item.clone());
                }
            }
        }
        message
    }

    fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.read();
            if message["type"] == kind {
                return message;
            }
            assert!(message["type"] != "closed", "it was closed before a {kind}");
        }
    }

    /// Sends an action, and waits until it is acknowledged and its tail is there.
    fn act(&mut self, id: &str, kind: &str, video: &str) {
        let mut event = json!({"type": "event", "id": id, "kind": kind, "video": video});
        if kind == "view" {
            event["watch_ms"] = 4_000.into();
        }
        self.send(&event);
        let (mut acknowledged, mut pushed) = (false, false);
        while !(acknowledged && pushed) {
            let message = self.read();
            acknowledged |= message["type"] == "ack" && message["id"] == id && message["status"] == "accepted";
            pushed |= message["type"] == "feed" && message["because"] == json!({"kind": "event", "id": id});
        }
    }

    fn videos(&self) -> Vec<String> {
        self.list.range(self.head..).map(|(_, item)| item["video"].as_str().unwrap().to_owned()).collect()
    }

    fn creators(&self) -> Vec<String> {
        self.list.range(self.head..).map(|(_, item)| item["creator"].as_str().unwrap().to_owned()).collect()
    }
}

fn serve() -> Server {
    Server::start_on(World::shared().active(), PATIENT).ready()
}

#[test]
fn an_action_brings_a_better_tail_and_nothing_watched_comes_back() {
    let server = serve();
    let mut client = Client::hello(&server, "sue", 6, None);
    assert_eq!(client.videos().len(), 6);
    let mut watched = Vec::new();
    for n in 0..8 {
        let video = client.videos()[0].clone();
        client.send(&json!({"type": "seen", "video": video}));
        client.head += 1;
        client.act(&format!("sue-{n}"), "view", &video);
        watched.push(video);
        assert!(client.videos().len() >= 6, "{:?}", client.videos());
        assert!(client.videos().iter().all(|video| !watched.contains(video)));
    }
    // The connection drops, and goes on where the person was, by the word of the beginning.
    let (resume, head) = (client.resume.clone(), client.head);
    drop(client);
    let mut again = Client::hello(&server, "sue", 6, Some(&resume));
    assert!(again.head <= head, "no position is left out");
    assert!(again.seq > 1, "numbers go on");
    assert!(again.videos().iter().all(|video| !watched.contains(video)), "{:?}", again.videos());
    // And after a restart, when nobody remembers but the client.
    let word = again.resume.clone();
    let server = server.restart().ready();
    again = Client::hello(&server, "sue", 6, Some(&word));
    assert!(again.videos().iter().all(|video| !watched.contains(video)));
}

#[test]
fn a_client_that_asks_for_it_is_told_why_and_how_long_it_took() {
    let server = serve();
    let mut socket = Client::open(&server, "eve");
    socket.send(Message::text(r#"{"type":"hello","buffer":4,"explain":true}"#)).unwrap();
    let mut client = Client { socket, list: BTreeMap::new(), head: 0, seq: 0, resume: String::new() };
    let first = client.until("feed");
    assert!(first["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{first}");
    client.act("eve-like", "like", &client.videos()[0].clone());
    assert!(client.list.values().all(|item| item["explain"]["sources"].as_array().is_some_and(|all| !all.is_empty())));
    let told = client.list.values().next().unwrap();
    assert!(told["explain"]["outcomes"]["like"].is_number(), "{told}");
    // Who does not ask is not told.
    let plain = Client::hello(&server, "eve", 4, None);
    assert!(plain.list.values().all(|item| item.get("explain").is_none()));
}

#[test]
fn more_comes_behind_what_is_there() {
    let server = serve();
    let mut client = Client::hello(&server, "mo", 5, None);
    let before = client.videos();
    client.send(&json!({"type": "more", "limit": 7}));
    assert_eq!(client.until("feed")["because"], json!({"kind": "more"}));
    let after = client.videos();
    assert_eq!(after[..5], before[..]);
    assert_eq!(after.iter().collect::<std::collections::BTreeSet<_>>().len(), 12);
}

#[test]
fn a_blocked_creator_leaves_the_tail_on_every_device() {
    let server = serve();
    let (mut phone, mut tablet) = (Client::hello(&server, "bea", 30, None), Client::hello(&server, "bea", 30, None));
    let (video, creator) = (phone.videos()[0].clone(), phone.creators()[0].clone());
    phone.act("bea-block", "block", &video);
    phone.head += 1;
    assert!(!phone.creators().contains(&creator));
    while tablet.until("feed")["because"] != json!({"kind": "event", "id": "bea-block"}) {}
    assert!(!tablet.creators().contains(&creator), "the other device hears of it");
    // What a socket said is history as any event is.
    server.wait_for("bea", "bea-block");
}

#[test]
fn a_new_release_and_a_followed_creators_video_bring_a_new_tail() {
    let world = World::shared();
    let server = Server::start_on(world.inactive(), PATIENT).ready();
    let mut client = Client::hello(&server, "flo", 5, None);
    let (video, creator) = (client.videos()[0].clone(), client.creators()[0].clone());
    client.act("flo-follow", "follow", &video);
    let new = json!({"creator": creator, "category": "k0", "duration_ms": 9_000});
    server.put("/v1/videos/brand-new", &new).expect(201);
    while client.until("feed")["because"] != json!({"kind": "video", "id": "brand-new"}) {}
    foryou::models::Releases::new(server.dir()).activate(&world.release).unwrap();
    while client.until("feed")["because"] != json!({"kind": "release", "id": world.release}) {}
}

#[test]
fn what_cannot_be_read_is_answered_and_does_not_end_it_but_a_flood_does() {
    let server = serve();
    let mut early =
        Client { socket: Client::open(&server, "mal"), list: BTreeMap::new(), head: 0, seq: 0, resume: String::new() };
    early.send(&json!({"type": "more"}));
    assert_eq!(early.until("error")["errors"][0]["field"], "type", "hello comes first");
    let mut client = Client::hello(&server, "mal", 5, None);
    for wrong in ["{", "[]", r#"{"type":"dance"}"#, r#"{"type":"event","kind":"like","video":"no-such"}"#] {
        client.socket.send(Message::text(wrong)).unwrap();
        let error = client.until("error");
        assert!(error["detail"].is_string() && error.get("fatal").is_none(), "{error}");
    }
    client.socket.send(Message::binary(vec![0, 255])).unwrap();
    client.until("error");
    client.send(&json!({"type": "ping"}));
    client.until("pong");
    // Larger than `sockets.frame_limit_kb`.
    client.socket.send(Message::text("x".repeat(64 << 10))).unwrap();
    let error = client.until("error");
    assert_eq!((&error["fatal"], &error["status"]), (&json!(true), &json!(413)));
    assert_eq!(client.read()["type"], "closed");
}

#[test]
fn a_person_has_so_many_and_all_are_told_when_the_server_stops() {
    let world = World::shared();
    let server = Server::start_on(world.active(), &format!("{PATIENT}\nsockets = {{ per_user = 2 }}")).ready();
    let (mut one, _two) = (Client::hello(&server, "lim", 5, None), Client::hello(&server, "lim", 5, None));
    let address = server.address();
    let stream = TcpStream::connect(address).unwrap();
    let refused = client(format!("ws://{address}/v1/feed/ws?user=lim"), stream).unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
    assert_eq!(server.get("/v1/feed/ws").expect(400)["errors"][0]["field"], "user");
    let stopping = std::thread::spawn(move || server.stopped());
    let bye = one.until("bye");
    assert!(bye["retry_ms"].as_u64().unwrap() > 0, "{bye}");
    assert_eq!(one.read()["type"], "closed");
    stopping.join().unwrap();
}
