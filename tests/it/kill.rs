//! An accepted event survives `kill -9` at any moment and is applied exactly once: the real process under load, killed at
//! random points, again and again on the same folder.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use foryou::stores::embedded::EmbeddedStore;
use foryou_actors::{
    live::Live,
    ports::store::{Activity, FeatureStore},
    services::catalogue,
    statistics::{Count, Entity},
    tallies,
};
use foryou_testing::{Node, free_address};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

const CLIENTS: usize = 4;
const PEOPLE_EACH: usize = 3;
const VIDEOS: usize = 200;
const KILLS: usize = 10;
/// No more kills after this.
const ENOUGH: Duration = Duration::from_secs(12);

/// The server as a process of its own, on a folder.
fn start(data: &Path) -> Node {
    Node::start(env!("CARGO_BIN_EXE_foryou"), data, &free_address(), "")
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(10))).build().into()
}

/// Somebody who sends events of some people one request after the other, and remembers what was acknowledged.
struct Client {
    number: usize,
    rng: SmallRng,
    /// Numbers of the events that were sent so far.
    sent: u64,
    acknowledged: HashSet<String>,
    /// A request without an answer: its events may be in or not.
    unsure: Option<Vec<Value>>,
}

impl Client {
    fn new(number: usize, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed ^ number as u64);
        Self { number, rng, sent: 0, acknowledged: HashSet::new(), unsure: None }
    }

    /// Sends until the server is gone.
    fn run(&mut self, base: &str, acknowledged: &mpsc::Sender<()>) {
        let agent = agent();
        loop {
            // A client may try again, or give up and go on.
            let again = self.unsure.take().filter(|_| self.rng.random_bool(0.7));
            let events = again.unwrap_or_else(|| self.events());
            let answer = agent.post(format!("{base}/v1/events")).send_json(json!({ "events": events }));
            let read =
                answer.and_then(|mut answer| Ok((answer.status().as_u16(), answer.body_mut().read_json::<Value>()?)));
            let Ok((status, body)) = read else {
                self.unsure = Some(events);
                return;
            };
            assert_eq!(status, 202, "{body}");
            for result in body["results"].as_array().unwrap() {
                assert!(result["status"] == "accepted" || result["status"] == "duplicate", "{result}");
                self.acknowledged.insert(result["id"].as_str().unwrap().to_owned());
            }
            // Whoever counts stops counting when it has killed the server.
            _ = acknowledged.send(());
        }
    }

    fn events(&mut self) -> Vec<Value> {
        (0..self.rng.random_range(1..=12)).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Value {
        self.sent += 1;
        let person = format!("p{}-{}", self.number, self.rng.random_range(0..PEOPLE_EACH));
        let video = format!("v{}", self.rng.random_range(0..VIDEOS));
        json!({"id": format!("{person}/{}", self.sent), "user": person, "video": video, "kind": "view", "watch_ms": 5_000})
    }
}

/// Lets the clients send until so many requests are answered and a little longer, then kills the server.
fn kill_under_load(data: &Path, clients: &mut [Client], rng: &mut SmallRng) {
    let mut server = start(data);
    let base = format!("http://{}", server.address());
    let answers = rng.random_range(0..300);
    let longer = Duration::from_micros(rng.random_range(0..3_000));
    std::thread::scope(|scope| {
        let (acknowledged, counted) = mpsc::channel();
        for client in clients {
            let (base, acknowledged) = (&base, acknowledged.clone());
            scope.spawn(move || client.run(base, &acknowledged));
        }
        drop(acknowledged);
        for _ in 0..answers {
            counted.recv().expect("clients end when the server does");
        }
        let end = Instant::now() + longer;
        while counted.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
        server.kill();
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_is_applied_once() {
    let seed = match std::env::var("FORYOU_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => foryou_schemas::Timestamp::now().millis() as u64,
    };
    println!("FORYOU_TEST_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(seed);
    {
        let server = start(dir.path());
        let video = |n| json!({"id": format!("v{n}"), "creator": "c", "category": "k", "duration_ms": 10_000});
        let videos: Vec<_> = (0..VIDEOS).map(video).collect();
        let answer = agent()
            .post(format!("http://{}/v1/videos", server.address()))
            .send_json(json!({ "videos": videos }))
            .unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
    let mut clients: Vec<_> = (0..CLIENTS).map(|n| Client::new(n, seed)).collect();
    let began = Instant::now();
    let kills = (0..KILLS).take_while(|_| began.elapsed() < ENOUGH);
    let kills = kills.map(|_| kill_under_load(dir.path(), &mut clients, &mut rng)).count();
    let acknowledged: HashSet<&String> = clients.iter().flat_map(|client| &client.acknowledged).collect();
    println!("{kills} kills, {} events acknowledged", acknowledged.len());
    assert!(kills >= 2 && !acknowledged.is_empty());

    let server = start(dir.path());
    wait_until_applied(&format!("http://{}", server.address()), &acknowledged);
    drop(server);
    let stored = tokio::runtime::Runtime::new().unwrap().block_on(read(dir.path()));
    let ids: HashSet<&str> = stored.iter().map(|activity| activity.event.id.as_str()).collect();
    assert_eq!(ids.len(), stored.len(), "each once");
    let lost: Vec<_> = acknowledged.iter().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let mut latest: HashMap<&str, (u64, u64)> = HashMap::new();
    for activity in &stored {
        let (person, n) = activity.event.id.as_str().split_once('/').unwrap();
        let (seq, before) = latest.entry(person).or_default();
        let n: u64 = n.parse().unwrap();
        assert!(activity.seq == *seq + 1 && n > *before, "{person}: {n} after {before}, as number {}", activity.seq);
        (*seq, *before) = (activity.seq, n);
    }
}

/// Asks for each person's latest acknowledged event, and for the history, which waits until it is stored.
fn wait_until_applied(base: &str, acknowledged: &HashSet<&String>) {
    let mut latest: HashMap<&str, u64> = HashMap::new();
    for (person, n) in acknowledged.iter().map(|id| id.split_once('/').unwrap()) {
        let known = latest.entry(person).or_default();
        *known = (*known).max(n.parse().unwrap());
    }
    let agent = agent();
    let get = |path: String| -> Value {
        let mut answer = agent.get(format!("{base}{path}")).call().unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.body_mut().read_json().unwrap()
    };
    for (person, n) in latest {
        let feed = get(format!("/v1/users/{person}/feed?limit=1&after={person}%2F{n}&wait_ms=2000"));
        let waited =
            feed["degraded"].as_array().unwrap().iter().filter_map(Value::as_str).find(|d| d.starts_with("after"));
        assert_eq!(waited, None, "{person}/{n} is not applied");
        get(format!("/v1/users/{person}/history"));
    }
}

/// All activity, by person in order, checked against the statistics.
async fn read(data: &Path) -> Vec<Activity> {
    let store = EmbeddedStore::open(&data.join("store")).unwrap();
    let mut stored = Vec::new();
    let mut visit = |activity| {
        stored.push(activity);
        Ok(())
    };
    store.scan_activity(&mut visit).await.unwrap();
    let live = Live::default();
    catalogue::load(&store, &live).await.unwrap();
    tallies::restore(&store, &live).await.unwrap();
    let statistics = live.statistics.read();
    assert_eq!(statistics.order(), stored.len() as u64);
    assert_eq!(statistics.tally(Entity::All).total(Count::Views) as usize, stored.len(), "each counted once");
    stored
}
