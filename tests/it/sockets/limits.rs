//! What a socket takes, for how long, and how it ends or goes on elsewhere.

use std::io::{Read, Write};

use super::*;
use crate::callers::{Guarded, token};

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
