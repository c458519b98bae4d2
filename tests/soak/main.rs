//! Two servers on a broker and a store of their own, events at a steady rate by HTTP and straight to the broker, and one fault after
//! the other: at the end every event that was acknowledged is in the store exactly once, and each person's in their order.
//!
//! `FORYOU_SOAK_MINUTES=20` goes on that long (`make soak`); without it each fault happens once. `FORYOU_SOAK_RATE` is in events per
//! second, `FORYOU_TEST_SEED` repeats the order of the faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod amqp;
mod clock;
mod faults;
mod people;
mod producer;
mod report;
mod rest;
mod verdict;

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use foryou_testing::{Client, Engine, Ground, Node, Private, free_address};
use serde_json::json;

use self::{clock::Clock, faults::Site, people::Person, producer::Producer};

const PARTITIONS: u16 = 32;
const VIDEOS: usize = 100;
/// Producers by HTTP and straight to the broker, and how many people each sends for.
const BY_HTTP: usize = 4;
const BY_AMQP: usize = 3;
const PEOPLE_EACH: usize = 30;
/// People who look at their feed after each event.
const VIEWERS: usize = 8;

/// What the surroundings ask for.
struct Settings {
    minutes: Option<f64>,
    rate: f64,
    seed: u64,
}

impl Settings {
    fn read() -> Self {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<f64>().expect("a number"));
        let seed = env::var("FORYOU_TEST_SEED").map(|text| text.parse().expect("a whole number"));
        Self {
            minutes: number("FORYOU_SOAK_MINUTES"),
            rate: number("FORYOU_SOAK_RATE").unwrap_or(300.0),
            seed: seed.unwrap_or_else(|_| foryou_schemas::Timestamp::now().millis() as u64),
        }
    }
}

#[test]
fn real_engines_that_fail_cost_no_acknowledged_event_and_no_order() {
    let settings = Settings::read();
    println!("FORYOU_TEST_SEED={}", settings.seed);
    let private = Private::up(&[Engine::Rabbitmq, Engine::Cassandra]);
    let mut ground = Ground::new(env!("CARGO_BIN_EXE_foryou"), private.engines(), PARTITIONS, "");
    let addresses = [free_address(), free_address()];
    let nodes = ["node-a", "node-b"];
    let nodes: Vec<Node> = nodes.iter().zip(&addresses).map(|(name, address)| ground.start(name, address)).collect();
    let nodes: [Node; 2] = nodes.try_into().expect("two");
    publish_videos(&nodes);

    let clock = Clock::start();
    let (stop, sight) = (AtomicBool::new(false), producer::Sight::default());
    let clients = || addresses.iter().map(|address| Client::new(address, Duration::from_secs(3))).collect::<Vec<_>>();
    let people = |who: &str, n: usize, count: usize| -> Vec<Person> {
        (0..count).map(|i| Person::new(format!("{who}{n}-{i}"))).collect()
    };
    let each = settings.rate / (BY_HTTP + BY_AMQP) as f64;
    let mut producers = Vec::new();
    for n in 0..BY_HTTP {
        producers.push(Producer::new(Box::new(rest::Door::new(clients(), n)), people("http", n, PEOPLE_EACH), each));
    }
    for n in 0..BY_AMQP {
        let door = amqp::Door::new(&private.engines().rabbitmq, ground.name(), PARTITIONS);
        producers.push(Producer::new(Box::new(door), people("amqp", n, PEOPLE_EACH), each));
    }
    for n in 0..VIEWERS {
        let door = Box::new(rest::Door::new(clients(), n));
        producers.push(Producer::viewer(door, people("viewer", n, 1), clients(), n));
    }
    let (faults, sent, mut nodes) = std::thread::scope(|scope| {
        let running: Vec<_> = producers
            .into_iter()
            .map(|mut producer| {
                let (stop, sight) = (&stop, &sight);
                let seed = settings.seed;
                scope.spawn(move || {
                    producer.run(clock, seed, stop, sight);
                    producer
                })
            })
            .collect();
        let mut site = Site { engines: &private, ground: &ground, nodes, clock, sight: &sight };
        // Whatever goes wrong, the producers end.
        let faults = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let faults = faults::run(&mut site, &settings);
            site.settle(Duration::from_secs(2));
            faults
        }));
        stop.store(true, Relaxed);
        if let Err(panic) = faults {
            for node in &site.nodes {
                eprintln!("the log of {} ends with\n{}", node.address(), node.log_end());
            }
            std::panic::resume_unwind(panic)
        }
        let sent: Vec<Producer> = running.into_iter().map(|producer| producer.join().unwrap()).collect();
        (faults.unwrap_or_default(), sent, site.nodes)
    });

    let settled = verdict::wait_until_applied(&nodes[0], &sent, clock);
    // In order, so that everything they have is written.
    nodes.iter_mut().for_each(Node::stop);
    let stored = verdict::read(&ground);
    report::print(&sent, &faults, settled, clock);
    let wrong = verdict::judge(&sent, &stored, &faults);
    if !wrong.is_empty() {
        ground.keep();
        let logs = ground.dir().display();
        panic!("{} things are wrong (logs: {logs}, seed {}):\n{}", wrong.len(), settings.seed, wrong.join("\n"));
    }
}

fn publish_videos(nodes: &[Node; 2]) {
    let video = |n| json!({"id": format!("v{n}"), "creator": "c", "category": "k", "duration_ms": 10_000});
    let videos: Vec<_> = (0..VIDEOS).map(video).collect();
    nodes[0].post("/v1/videos", &json!({ "videos": videos })).unwrap().expect(202);
    let last = format!("/v1/videos/v{}", VIDEOS - 1);
    faults::until("the other node knows the videos", Duration::from_secs(20), || {
        nodes[1].get(&last).is_ok_and(|answer| answer.status == 200)
    });
}
