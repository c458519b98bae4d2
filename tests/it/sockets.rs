//! Feed sockets, as a client sees them (contract, section 3).

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client, client::IntoClientRequest};

use crate::{
    callers::{Guarded, token},
    feeds::PATIENT,
    server::Server,
    world::World,
};

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
        Self::try_open(server, &format!("?user={user}"), None).unwrap()
    }

    /// The error is the status of the answer.
    fn try_open(server: &Server, query: &str, bearer: Option<&str>) -> Result<WebSocket<TcpStream>, u16> {
        let address = server.address();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{address}/v1/feed/ws{query}").into_client_request().unwrap();
        if let Some(bearer) = bearer {
            request.headers_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        }
        match client(request, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn hello(server: &Server, user: &str, buffer: u64, resume: Option<&str>) -> Self {
        Self::begin(Self::open(server, user), buffer, resume)
    }

    fn new(socket: WebSocket<TcpStream>) -> Self {
        Self { socket, list: BTreeMap::new(), head: 0, seq: 0, resume: String::new() }
    }

    fn begin(socket: WebSocket<TcpStream>, buffer: u64, resume: Option<&str>) -> Self {
        let mut client = Self::new(socket);
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
    serve_with("")
}

fn serve_with(sockets: &str) -> Server {
    Server::start_on(World::shared().active(), &format!("{PATIENT}\nsockets = {{ {sockets} }}")).ready()
}

/// A metric's value.
fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.get("/metrics").text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not told")).parse().unwrap()
}

/// Waits until a metric has a value.
fn until(server: &Server, name: &str, is: impl Fn(f64) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is(metric(server, name)) {
        assert!(Instant::now() < end, "{name} is {}", metric(server, name));
        std::thread::sleep(Duration::from_millis(10));
    }
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
fn what_was_watched_while_nobody_heard_it_does_not_come_again() {
    let server = Server::start_with(PATIENT);
    server.publish(12);
    let client = Client::hello(&server, "off", 6, None);
    let (watched, word) = (client.videos(), client.resume.clone());
    drop(client);
    let mut again = Client::new(Client::open(&server, "off"));
    again.send(&json!({"type": "hello", "buffer": 6, "resume": word, "seen": watched}));
    again.until("feed");
    let tail = again.videos();
    assert!(tail.len() == 6 && tail.iter().all(|video| !watched.contains(video)), "{tail:?} after {watched:?}");
    // Nor later, before it is known for good.
    again.act("off-1", "like", &tail[0]);
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
fn a_tail_is_kept_where_sources_bring_nothing_but_what_must_go_goes() {
    // As if all of them were late: only what fills feeds is left, which begins anywhere.
    let settings = "[sockets]\ncoalesce_ms = 0\n[feed]\nsession_budget_ms = 10000
        candidates = { two_tower = 0, similar = 0, category = 0, trending = 0, followed = 0, fresh = 0 }";
    let server = Server::start_with(settings);
    let video =
        |n| json!({"id": format!("v{n}"), "creator": format!("c{}", n % 2), "category": "x", "duration_ms": 9_000});
    server.post("/v1/videos", &json!({"videos": (0..900).map(video).collect::<Vec<_>>()})).expect(202);
    let mut client = Client::hello(&server, "kim", 8, None);
    let mut before = client.videos();
    // Leaves one of the tail, and those that `goes` names; the others are in the next tail, too.
    let mut kept = |client: &Client, goes: &dyn Fn(&String) -> bool| {
        let after = client.videos();
        assert_eq!(after.len(), 8);
        let (gone, stays): (Vec<_>, Vec<_>) = before.drain(..).partition(goes);
        assert!(gone.iter().all(|video| !after.contains(video)), "{gone:?} are in {after:?}");
        assert!(stays.iter().all(|video| after.contains(video)), "{stays:?} are not in {after:?}");
        before = after;
        (gone.len(), stays.len())
    };
    let first = client.videos()[0].clone();
    client.act("kim-1", "like", &first);
    client.head += 1;
    assert_eq!(kept(&client, &|video| *video == first), (1, 7));
    // Not wanted, said by another device.
    let unwanted = client.videos()[5].clone();
    server.send(&json!({"id": "kim-2", "user": "kim", "video": unwanted, "kind": "dislike"}));
    while client.until("feed")["because"] != json!({"kind": "event", "id": "kim-2"}) {}
    assert_eq!(kept(&client, &|video| *video == unwanted), (1, 7));
    // Taken down, and with the next action everything of a blocked creator.
    let (first, removed) = (client.videos()[0].clone(), client.videos()[6].clone());
    assert_eq!(server.delete(&format!("/v1/videos/{removed}")).status, 204);
    let parity = |video: &str| video[1..].parse::<u32>().unwrap() % 2;
    client.act("kim-3", "block", &first);
    client.head += 1;
    let (gone, _) = kept(&client, &|video| *video == removed || parity(video) == parity(&first));
    assert!(gone > 2, "there was more by that creator");
}

#[test]
fn a_new_release_and_a_followed_creators_video_bring_a_new_tail() {
    let world = World::shared();
    let settings = format!("{PATIENT}\nsockets = {{ spread_ms = 50 }}");
    let server = Server::start_on(world.inactive(), &settings).ready();
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
    let mut early = Client::new(Client::open(&server, "mal"));
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
    // Larger than `sockets.frame_limit_kb`, as its head says: more than the head is never sent.
    client.socket.get_mut().write_all(&[0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0]).unwrap();
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

#[test]
fn who_answers_no_ping_and_who_says_nothing_is_let_go_and_makes_room() {
    let server = serve_with("max = 1, heartbeat_ms = 100");
    let _silent = Client::hello(&server, "silent", 5, None);
    // Pings are answered by reading, which it does not do.
    until(&server, "foryou_feed_sockets_closed_total{reason=\"silent\"}", |ended| ended == 1.0);

    let server = serve_with("max = 1, idle_s = 1");
    let mut idle = Client::hello(&server, "idle", 5, None);
    assert_eq!(Client::try_open(&server, "?user=other", None).unwrap_err(), 503);
    assert_eq!(idle.until("bye")["reason"], "idle");
    until(&server, "foryou_feed_sockets", |open| open == 0.0);
    Client::hello(&server, "other", 5, None);
}

#[test]
fn who_does_not_read_gets_no_more_than_a_bound_and_is_let_go_and_others_notice_nothing() {
    let server = serve_with("send_timeout_ms = 300, coalesce_ms = 0");
    let mut other = Client::hello(&server, "ok", 5, None);
    let mut slow = Client::hello(&server, "slow", 100, None);
    // Asks for a list of a hundred again and again, and reads none of it.
    let mut n = 0;
    let mut said = Ok(());
    let end = Instant::now() + PATIENCE;
    while said.is_ok() && metric(&server, "foryou_feed_sockets") > 1.5 && Instant::now() < end {
        let event =
            json!({"type": "event", "id": format!("slow-{n}"), "kind": "like", "video": format!("v{}", n % 320)});
        said = slow.socket.send(Message::text(event.to_string()));
        n += 1;
        // `unread_kb`, one more list, and what belongs to the other.
        assert!(metric(&server, "foryou_feed_sockets_unread_bytes") < 512.0 * 1024.0);
    }
    until(&server, "foryou_feed_sockets", |open| open < 1.5);
    assert!(metric(&server, "foryou_feed_sockets_degraded_total") >= 1.0);
    assert_eq!(metric(&server, "foryou_feed_sockets_closed_total{reason=\"slow\"}"), 1.0);
    // The connection itself is gone, too: what was on its way is read, then it ends.
    let stream = slow.socket.get_mut();
    let mut rest = [0; 64 << 10];
    while let Ok(1..) = stream.read(&mut rest) {}
    let video = other.videos()[0].clone();
    other.act("ok-1", "like", &video);
}

#[test]
fn a_thousand_come_back_at_once_and_go_on_where_they_were() {
    let server = serve_with("max = 2000");
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    foryou::open_files::raise().unwrap();
    let words: Vec<(String, u64)> = std::thread::scope(|scope| {
        let some = |part: usize| {
            let server = &server;
            scope.spawn(move || {
                let people = (0..25).map(|n| format!("storm-{}", part * 25 + n));
                let clients: Vec<Client> = people.map(|user| Client::hello(server, &user, 1, None)).collect();
                clients.iter().map(|client| (client.resume.clone(), client.seq)).collect::<Vec<_>>()
            })
        };
        let parts: Vec<_> = (0..40).map(some).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    until(&server, "foryou_feed_sockets", |open| open == 0.0);
    let before = files();
    std::thread::scope(|scope| {
        for part in 0..40 {
            let (server, words) = (&server, &words);
            scope.spawn(move || {
                let mine = part * 25..part * 25 + 25;
                let again: Vec<Client> =
                    mine.map(|n| Client::hello(server, &format!("storm-{n}"), 1, Some(&words[n].0))).collect();
                for (client, (word, seq)) in again.iter().zip(&words[part * 25..]) {
                    let id = |word: &str| word.split('.').next().unwrap().to_owned();
                    assert!(client.seq > *seq && id(&client.resume) == id(word), "{} after {word}", client.resume);
                }
            });
        }
    });
    until(&server, "foryou_feed_sockets", |open| open == 0.0);
    // Tests that run beside this one open and close some.
    let end = Instant::now() + PATIENCE;
    while files() > before + 200 {
        assert!(Instant::now() < end, "{} files are open, {before} were", files());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_subscription_whose_old_connection_is_half_open_goes_on_with_the_new_one() {
    let server = serve();
    let mut old = Client::hello(&server, "half", 6, None);
    let video = old.videos()[0].clone();
    old.act("half-1", "like", &video);
    // Nobody told the server that the old one is gone; the word is that of the beginning.
    let word = old.resume.clone();
    let new = Client::hello(&server, "half", 6, Some(&word));
    assert!(new.seq > old.seq && new.head == 1, "{} after {}, at {}", new.seq, old.seq, new.head);
    assert!(!new.videos().contains(&video));
    let bye = old.until("bye");
    assert!(bye["reason"].as_str().unwrap().contains("another socket"), "{bye}");
    until(&server, "foryou_feed_sockets", |open| open == 1.0);
    // Somebody else's word is worth nothing, and ends nothing.
    let other = Client::hello(&server, "thief", 6, Some(&new.resume));
    assert_eq!(metric(&server, "foryou_feed_sockets"), 2.0);
    assert!(other.videos().len() == 6);
}

#[test]
fn a_token_opens_its_owners_socket_and_ends_it_when_it_expires() {
    let guarded = Guarded::start("sockets = { heartbeat_ms = 100 }");
    let server = &guarded.server;
    server.wait_ready();
    assert_eq!(Client::try_open(server, "?user=eve", Some(&token("ann", 60))).unwrap_err(), 403);
    assert_eq!(Client::try_open(server, "?user=ann", None).unwrap_err(), 401);
    assert_eq!(Client::try_open(server, "", Some(&token("ann", -60))).unwrap_err(), 401);
    // A page cannot set a header.
    let open = |seconds| Client::try_open(server, &format!("?access_token={}", token("ann", seconds)), None);
    // A busy machine may take longer to open it than a short-lived token is good for.
    let socket = [2, 8, 32].into_iter().find_map(|seconds| open(seconds).ok()).unwrap();
    let mut client = Client::begin(socket, 5, None);
    let error = client.until("error");
    assert_eq!((&error["fatal"], &error["status"]), (&json!(true), &json!(401)));
    assert!(client.until("bye")["reason"].as_str().unwrap().contains("expired"));
    assert_eq!(client.read()["type"], "closed");
}

#[test]
fn limits_hold_over_sockets_and_nothing_is_lost_in_silence() {
    let guarded = Guarded::start("access.limits.person_per_s = 0.01\naccess.limits.person_burst = 3");
    let server = &guarded.server;
    server.wait_ready();
    let key = guarded.key("catalogue", &[]);
    let video = json!({"creator": "c", "category": "x", "duration_ms": 9_000});
    guarded.until("GET", "/v1/videos/none", &key, 404);
    let bearer = format!("Bearer {key}");
    guarded.ask("PUT", "/v1/videos/v1", &[("authorization", &bearer)], Some(&video)).expect(201);
    let socket = Client::try_open(server, "", Some(&token("ann", 600))).unwrap();
    let mut client = Client::begin(socket, 5, None);
    let ids: Vec<String> = (0..30).map(|n| format!("often-{n}")).collect();
    for id in &ids {
        client.send(&json!({"type": "event", "id": id, "kind": "like", "video": "v1"}));
    }
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    while taken.len() + refused.len() < ids.len() {
        let message = client.read();
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().unwrap() {
            "ack" => taken.push(id),
            "error" => {
                assert_eq!((&message["status"], &message["about"]), (&json!(429), &json!("event")));
                assert!(message["retry_ms"].as_u64().unwrap() > 0 && message.get("fatal").is_none());
                refused.push(id);
            }
            _ => {}
        }
    }
    assert!(!taken.is_empty() && !refused.is_empty(), "{taken:?} {refused:?}");
    let mut all: Vec<_> = taken.into_iter().chain(refused).collect();
    let number = |id: &String| id.rsplit('-').next().unwrap().parse::<u32>().unwrap();
    all.sort_by_key(number);
    assert_eq!(all, ids, "each was answered once");
}

#[test]
fn several_devices_share_one_session() {
    let server = serve();
    let (mut phone, mut tablet) = (Client::hello(&server, "two", 6, None), Client::hello(&server, "two", 6, None));
    let video = phone.videos()[0].clone();
    phone.act("two-1", "like", &video);
    while tablet.until("feed")["because"] != json!({"kind": "event", "id": "two-1"}) {}
    assert!(!tablet.videos().contains(&video));
    tablet.head = 0;
    assert_eq!(metric(&server, "foryou_sessions"), 1.0, "one person");
    assert!(metric(&server, "foryou_feed_socket_action_seconds_count") >= 1.0);
    assert!(metric(&server, "foryou_feed_socket_pushes_total{cause=\"event\"}") >= 2.0);
}
