//! Two servers on one broker and one store: processes of their own, asked from outside.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use foryou_testing::{Answer, Engines, Ground, Node, free_address};
use serde_json::{Value, json};

const PARTITIONS: u16 = 16;
const PEOPLE: usize = 12;
/// How long anything may take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(30);

fn ground() -> Ground {
    Ground::new(env!("CARGO_BIN_EXE_foryou"), &Engines::shared(), PARTITIONS, "")
}

/// Asks again until the answer is as wanted, and gives how long that took.
#[track_caller]
fn until<T: std::fmt::Debug>(what: &str, mut ask: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{what}: still {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many partitions a node says that it holds; none while it is not ready.
fn holds(node: &Node) -> u64 {
    let ready = node.get("/readyz").ok().filter(|answer| answer.status == 200);
    ready.map_or(0, |answer| answer.body["holds"]["count"].as_u64().unwrap())
}

/// Waits until two nodes share all partitions.
#[track_caller]
fn shared(a: &Node, b: &Node) -> Duration {
    let all = |(a, b): &(u64, u64)| *a > 0 && *b > 0 && a + b == u64::from(PARTITIONS);
    until("the nodes share the partitions", || (holds(a), holds(b)), all)
}

fn people() -> impl Iterator<Item = String> {
    (0..PEOPLE).map(|n| format!("p{n}"))
}

fn publish_videos(node: &Node) {
    let video = |n| json!({"id": format!("v{n}"), "creator": "c", "category": "x", "duration_ms": 10_000});
    let videos: Vec<_> = (0..20).map(video).collect();
    node.post("/v1/videos", &json!({ "videos": videos })).unwrap().expect(202);
}

fn view(person: &str, n: usize) -> Value {
    let id = format!("{person}-{n}");
    json!({"id": id, "user": person, "video": format!("v{}", n % 20), "kind": "view", "watch_ms": 5_000})
}

/// Sends an event to one of these nodes, again and again until it is acknowledged.
#[track_caller]
fn send(nodes: &[&Node], event: &Value) {
    let accepted = |answer: &Result<Answer, String>| match answer {
        Ok(answer) if answer.status == 202 => true,
        Ok(answer) => {
            assert!([429, 503].contains(&answer.status), "{event}: {answer:?}");
            false
        }
        Err(_) => false,
    };
    let mut nodes = nodes.iter().cycle();
    until("an event is accepted", || nodes.next().unwrap().post("/v1/events", event), accepted);
}

/// Sends a new event while nothing is wrong.
#[track_caller]
fn tell(node: &Node, event: &Value) {
    let answer = node.post("/v1/events", event).unwrap().expect(202);
    // Not `duplicate`, though it may be another node that applies it.
    assert_eq!(answer["results"][0]["status"], "accepted", "{event}");
}

/// The feed after an event, as a node gives it.
fn feed_after(node: &Node, person: &str, n: usize) -> Result<Answer, String> {
    node.get(&format!("/v1/users/{person}/feed?limit=1&after={person}-{n}&wait_ms=2000"))
}

/// The ids in a person's history, as a node gives it, oldest first.
#[track_caller]
fn history(node: &Node, person: &str) -> Vec<String> {
    let answer = node.get(&format!("/v1/users/{person}/history?limit=100")).unwrap().expect(200);
    let events = answer["events"].as_array().unwrap().iter().rev();
    events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn ids(person: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{person}-{n}")).collect()
}

#[test]
fn real_engines_two_nodes_share_people_counts_and_catalogue_and_answer_alike() {
    let ground = ground();
    let (a, b) = (ground.start("node-a", &free_address()), ground.start("node-b", &free_address()));
    println!("shared after {:?}", shared(&a, &b));
    let listed = || ground.run(&["nodes"])["nodes"].clone();
    let all = |nodes: &Value| {
        let counts = nodes.as_array().unwrap().iter().map(|node| node["holds"]["count"].as_u64().unwrap());
        nodes.as_array().unwrap().len() == 2 && counts.sum::<u64>() == u64::from(PARTITIONS)
    };
    until("foryou nodes lists both", listed, all);

    publish_videos(&a);
    until("the other node knows a video", || b.get("/v1/videos/v19").unwrap().status, |status| *status == 200);
    // Each hears a heartbeat later what the other holds.
    for (node, person) in people().flat_map(|person| [(&a, person.clone()), (&b, person)]) {
        let feed = || node.get(&format!("/v1/users/{person}/feed?limit=1"));
        let at_home = |feed: &Result<Answer, String>| feed.as_ref().is_ok_and(|feed| feed.behind().is_empty());
        until("both know who holds whom", feed, at_home);
    }
    let mut makers = std::collections::BTreeSet::new();
    for (n, person) in people().enumerate() {
        let (here, there) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        tell(here, &view(&person, 0));
        let feeds = [there, here].map(|node| feed_after(node, &person, 0).unwrap());
        for feed in &feeds {
            assert_eq!((feed.status, feed.behind()), (200, vec![]), "{feed:?}");
            assert_eq!(feed.node, feeds[0].node, "one node makes both");
        }
        makers.insert(feeds[0].node.clone());
        for node in [&a, &b] {
            assert_eq!(history(node, &person), ids(&person, 1));
        }
        tell(here, &json!({"id": format!("like-{person}"), "user": person, "video": "v0", "kind": "like"}));
    }
    assert_eq!(makers.into_iter().collect::<Vec<_>>(), ["node-a", "node-b"], "both have people");
    for node in [&a, &b] {
        let likes = || node.get("/v1/videos/v0").unwrap().expect(200)["stats"]["likes"].clone();
        let took = until("likes of both nodes' people are counted", likes, |likes| likes == PEOPLE);
        println!("{PEOPLE} likes seen at {} after {took:?}", node.address());
    }
    b.delete("/v1/videos/v7").unwrap().expect(204);
    until("a video that is gone is gone for both", || a.get("/v1/videos/v7").unwrap().status, |s| *s == 404);
}

#[test]
fn real_engines_a_killed_nodes_people_are_served_fresh_by_the_other() {
    let ground = ground();
    let (a, mut b) = (ground.start("node-a", &free_address()), ground.start("node-b", &free_address()));
    shared(&a, &b);
    publish_videos(&a);
    until("the other node knows a video", || b.get("/v1/videos/v19").unwrap().status, |status| *status == 200);
    for n in 0..3 {
        people().for_each(|person| send(&[&b, &a], &view(&person, n)));
    }
    // Whether these were applied when the node dies is open.
    people().for_each(|person| send(&[&b], &view(&person, 3)));
    b.kill();
    let killed = Instant::now();
    people().for_each(|person| send(&[&a], &view(&person, 4)));
    let fresh = |answer: &Result<Answer, String>| {
        answer.as_ref().is_ok_and(|answer| answer.status == 200 && answer.behind().is_empty())
    };
    for person in people() {
        until("a feed is fresh", || feed_after(&a, &person, 4), fresh);
    }
    println!("everybody is served fresh {:?} after the kill", killed.elapsed());
    for person in people() {
        assert_eq!(history(&a, &person), ids(&person, 5));
    }
    assert_eq!(holds(&a), u64::from(PARTITIONS));
    let b = ground.start("node-b", b.address());
    println!("shared {:?} after the start", shared(&a, &b));
}

#[test]
fn real_engines_nodes_join_and_stop_without_a_lost_doubled_or_reordered_event() {
    let ground = ground();
    let a = ground.start("node-a", &free_address());
    until("the node holds all", || holds(&a), |held| *held == u64::from(PARTITIONS));
    publish_videos(&a);
    let done = AtomicBool::new(false);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let flow = |person: String| {
            let (a, done) = (&a, &done);
            scope.spawn(move || {
                // A page of history, and no more, holds them all.
                let mut sent = 0;
                while sent < 100 && !done.load(Relaxed) {
                    send(&[a], &view(&person, sent));
                    sent += 1;
                    std::thread::sleep(Duration::from_millis(250));
                }
                sent
            })
        };
        let flows: Vec<_> = people().map(flow).collect();
        let mut b = ground.start("node-b", &free_address());
        println!("the new node has its share {:?} after its start", shared(&a, &b));
        flows_on(&b);
        let asked = Instant::now();
        b.stop();
        println!("stopped in order within {:?}", asked.elapsed());
        until("the node holds all again", || holds(&a), |held| *held == u64::from(PARTITIONS));
        println!("handed over {:?} after it was told to stop", asked.elapsed());
        flows_on(&a);
        done.store(true, Relaxed);
        flows.into_iter().map(|flow| flow.join().unwrap()).collect()
    });
    println!("{} events", counts.iter().sum::<usize>());
    for (person, count) in people().zip(counts) {
        let feed = feed_after(&a, &person, count - 1).unwrap();
        assert_eq!((feed.status, feed.behind()), (200, vec![]), "{feed:?}");
        assert_eq!(history(&a, &person), ids(&person, count));
    }
}

/// Waits until each person's history, as a node shows it, has grown by some events.
#[track_caller]
fn flows_on(node: &Node) {
    let length = |person: String| {
        let answer = node.get(&format!("/v1/users/{person}/history?limit=100"));
        answer.ok().and_then(|answer| Some(answer.body["events"].as_array()?.len())).unwrap_or(0)
    };
    let lengths = || people().map(length).collect::<Vec<_>>();
    let before = lengths();
    until("events flow on", lengths, |now| now.iter().zip(&before).all(|(now, before)| *now >= before + 3));
}
