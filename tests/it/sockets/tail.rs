//! What is in a client's list, and when it changes.

use super::*;

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
fn what_was_only_seen_is_filled_up_from_behind() {
    let server = serve();
    let mut client = Client::hello(&server, "leo", 6, None);
    for _ in 0..4 {
        let before = client.videos();
        client.send(&json!({"type": "seen", "video": before[0]}));
        client.head += 1;
        while client.videos().len() < 6 {
            assert_eq!(client.until("feed")["because"], json!({"kind": "more"}), "nobody acted");
        }
        assert_eq!(client.videos()[..5], before[1..], "what is at hand stays");
    }
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
