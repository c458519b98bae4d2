use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use foryou_testing::{Answer, Client};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::index};
use serde_json::Value;

use crate::{
    clock::Clock,
    people::{Acknowledged, Person},
};

/// What takes events: all of these, or none for certain.
pub trait Events: Send {
    fn send(&mut self, events: &[Value]) -> Result<(), Refused>;
}

/// Why events were not acknowledged. They are sent again, with the same ids.
#[derive(Debug)]
pub enum Refused {
    /// No connection, or a broken one.
    Away,
    /// 429, 503, a nack, no confirm in time.
    Overloaded,
    /// What must not be, and how it looked.
    Strange(String),
}

/// How long one event may be sent again and again, and a feed be asked for.
const GIVE_UP: Duration = Duration::from_secs(120);

/// Sends events for some people, one of each at a time.
pub struct Producer {
    door: Box<dyn Events>,
    pub people: Vec<Person>,
    /// Requests or publishes per second.
    rate: f64,
    viewer: Option<Viewer>,
    pub away: u64,
    pub overloaded: u64,
    pub strange: Vec<String>,
}

/// Looks at the feed after each event, at one node and the other.
struct Viewer {
    nodes: Vec<Client>,
    next: usize,
    number: usize,
    /// Answers that were not fresh, by status or reason.
    stale: BTreeMap<String, u64>,
}

/// A feed that reflects an event.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// When the event was first sent, and when the feed was there.
    pub sent: f64,
    pub at: f64,
}

/// What the viewers saw, each in order.
#[derive(Debug, Default)]
pub struct Sight(Mutex<BTreeMap<usize, Vec<Fresh>>>);

impl Sight {
    fn add(&self, viewer: usize, fresh: Fresh) {
        self.0.lock().unwrap().entry(viewer).or_default().push(fresh);
    }

    /// When each viewer first saw a fresh feed of an event that was sent after `since`; fewer than there are viewers: not all have.
    pub fn first(&self, since: f64) -> Vec<f64> {
        let seen = self.0.lock().unwrap();
        seen.values().filter_map(|all| all.iter().find(|fresh| fresh.sent >= since).map(|fresh| fresh.at)).collect()
    }
}

impl Producer {
    /// For these people, so many events per second.
    pub fn new(door: Box<dyn Events>, people: Vec<Person>, rate: f64) -> Self {
        Self { door, people, rate, viewer: None, away: 0, overloaded: 0, strange: Vec::new() }
    }

    /// For one person, who looks at the feed after each event.
    pub fn viewer(door: Box<dyn Events>, people: Vec<Person>, nodes: Vec<Client>, number: usize) -> Self {
        let viewer = Viewer { nodes, next: number, number, stale: BTreeMap::new() };
        Self { viewer: Some(viewer), ..Self::new(door, people, 4.0) }
    }

    /// Why feeds were not fresh, and how often.
    pub fn stale(&self) -> impl Iterator<Item = (&str, u64)> {
        self.viewer.iter().flat_map(|viewer| &viewer.stale).map(|(reason, count)| (reason.as_str(), *count))
    }

    /// Sends until it is told to stop; what was begun is brought to its end.
    pub fn run(&mut self, clock: Clock, seed: u64, stop: &AtomicBool, sight: &Sight) {
        let name = self.people[0].id.clone();
        let mut rng = SmallRng::seed_from_u64(seed ^ name.bytes().fold(0, |h, byte| h * 131 + u64::from(byte)));
        let mut due = Instant::now();
        while !stop.load(Relaxed) {
            let count = rng.random_range(1..=3).min(self.people.len());
            let chosen = index::sample(&mut rng, self.people.len(), count).into_vec();
            let events: Vec<Value> = chosen.iter().map(|n| self.people[*n].next(&mut rng)).collect();
            let sent = clock.now();
            self.send(&events);
            let at = clock.now();
            for person in &chosen {
                self.people[*person].acknowledged.push(Acknowledged { sent, at });
            }
            if let Some(viewer) = &mut self.viewer {
                viewer.look(&self.people[chosen[0]], stop);
                sight.add(viewer.number, Fresh { sent, at: clock.now() });
            }
            // What was missed is not made up for: the rate is steady.
            due = (due + Duration::from_secs_f64(count as f64 / self.rate)).max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn send(&mut self, events: &[Value]) {
        let mut pause = Duration::from_millis(20);
        let began = Instant::now();
        while let Err(refused) = self.door.send(events) {
            match refused {
                Refused::Away => self.away += 1,
                Refused::Overloaded => self.overloaded += 1,
                Refused::Strange(what) => self.strange.push(format!("{}: {what}", events[0]["id"])),
            }
            assert!(began.elapsed() < GIVE_UP, "{} is not acknowledged in {GIVE_UP:?}", events[0]["id"]);
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

impl Viewer {
    /// Asks for the feed after the latest event until it is fresh.
    fn look(&mut self, person: &Person, stop: &AtomicBool) {
        let (name, n) = (&person.id, person.acknowledged.len());
        let path = format!("/v1/users/{name}/feed?limit=1&after={name}%2F{n}&wait_ms=250");
        let began = Instant::now();
        loop {
            self.next += 1;
            let why = match self.nodes[self.next % self.nodes.len()].get(&path) {
                Err(_) => vec!["no answer".to_owned()],
                Ok(answer) if answer.status != 200 => vec![answer.status.to_string()],
                Ok(answer) => Answer::behind(&answer),
            };
            // The verdict asks once more.
            if why.is_empty() || stop.load(Relaxed) {
                return;
            }
            for reason in why {
                // Without the names of partitions.
                let kind = reason.split(" p").next().unwrap_or(&reason).to_owned();
                *self.stale.entry(kind).or_default() += 1;
            }
            assert!(began.elapsed() < GIVE_UP, "{} has no fresh feed in {GIVE_UP:?}", person.event_id(n));
            thread::sleep(Duration::from_millis(30));
        }
    }
}
