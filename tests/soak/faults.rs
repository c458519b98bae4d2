use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use foryou_testing::{Engine, Ground, Node, Private};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};

use crate::{Settings, VIEWERS, clock::Clock, producer::Sight};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    RestartRabbitmq,
    BlockRabbitmq,
    KillRabbitmq,
    StopCassandra,
    FreezeCassandra,
    KillNode(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestartRabbitmq => "RabbitMQ restarted",
            Self::BlockRabbitmq => "RabbitMQ's memory alarm",
            Self::KillRabbitmq => "RabbitMQ killed",
            Self::StopCassandra => "Cassandra stopped",
            Self::FreezeCassandra => "Cassandra frozen",
            Self::KillNode(0) => "node-a killed",
            Self::KillNode(_) => "node-b killed",
        })
    }
}

const FAULTS: [Fault; 7] = [
    Fault::RestartRabbitmq,
    Fault::BlockRabbitmq,
    Fault::KillRabbitmq,
    Fault::StopCassandra,
    Fault::FreezeCassandra,
    Fault::KillNode(0),
    Fault::KillNode(1),
];
const NAMES: [&str; 2] = ["node-a", "node-b"];

/// How long everybody may have to wait for a fresh feed after a fault has ended: far longer than it takes.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// A fault that was, in seconds since the start.
#[derive(Debug)]
pub struct Past {
    pub fault: Fault,
    /// When it was in force.
    pub from: f64,
    /// When it had ended: the engine or the node answered again.
    pub to: f64,
    /// When the first, and when all viewers had a fresh feed of an event sent after the end.
    pub first_fresh: f64,
    pub all_fresh: f64,
    /// Of a killed node: when all viewers had one of an event sent after the kill, so from the other node.
    pub taken_over: Option<f64>,
}

/// What faults happen to.
pub struct Site<'a> {
    pub engines: &'a Private,
    pub ground: &'a Ground,
    pub nodes: [Node; 2],
    pub clock: Clock,
    pub sight: &'a Sight,
}

/// One fault after the other, in a random order, each round all of them.
pub fn run(site: &mut Site<'_>, settings: &Settings) -> Vec<Past> {
    let mut rng = SmallRng::seed_from_u64(settings.seed);
    let long = settings.minutes.is_some();
    let mut past = Vec::new();
    site.settle(Duration::from_secs(3));
    loop {
        let mut round = FAULTS;
        round.shuffle(&mut rng);
        for fault in round {
            if settings.minutes.is_some_and(|minutes| site.clock.now() > minutes * 60.0) {
                return past;
            }
            past.push(site.happen(fault, long, &mut rng));
            let pause = if long { rng.random_range(3_000..12_000) } else { rng.random_range(500..1_500) };
            site.settle(Duration::from_millis(pause));
        }
        if !long {
            return past;
        }
    }
}

impl Site<'_> {
    fn happen(&mut self, fault: Fault, long: bool, rng: &mut SmallRng) -> Past {
        let mut last = |short: f64, from: f64, to: f64| {
            Duration::from_secs_f64(if long { rng.random_range(from..to) } else { short })
        };
        let mut taken_over = None;
        println!("{:7.1} s  {fault}", self.clock.now());
        let from = match fault {
            Fault::RestartRabbitmq => {
                self.engines.stop(Engine::Rabbitmq);
                let from = self.clock.now();
                self.engines.start(Engine::Rabbitmq);
                from
            }
            Fault::BlockRabbitmq => {
                self.engines.alarm(true);
                let from = self.clock.now();
                thread::sleep(last(3.0, 2.0, 15.0));
                self.engines.alarm(false);
                from
            }
            Fault::KillRabbitmq => {
                self.engines.kill(Engine::Rabbitmq);
                let from = self.clock.now();
                self.engines.start(Engine::Rabbitmq);
                from
            }
            Fault::StopCassandra => {
                self.engines.stop(Engine::Cassandra);
                let from = self.clock.now();
                thread::sleep(last(8.0, 29.9, 30.0));
                self.engines.start(Engine::Cassandra);
                from
            }
            Fault::FreezeCassandra => {
                self.engines.freeze(Engine::Cassandra);
                let from = self.clock.now();
                thread::sleep(last(4.0, 2.0, 15.0));
                self.engines.thaw(Engine::Cassandra);
                from
            }
            Fault::KillNode(n) => {
                self.nodes[n].kill();
                let from = self.clock.now();
                // Sometimes it is back before the other has noticed.
                if !long || last(0.0, 0.0, 1.0) > Duration::from_millis(300) {
                    taken_over = Some(self.all_fresh(from).1 - from);
                }
                self.nodes[n] = self.ground.start(NAMES[n], self.nodes[n].address());
                from
            }
        };
        let to = self.clock.now();
        let (first, all) = self.all_fresh(to);
        println!("{all:7.1} s  all well, {:.1} s after its end", all - to);
        Past { fault, from, to, first_fresh: first - to, all_fresh: all - to, taken_over }
    }

    /// Waits until each viewer saw a fresh feed of an event sent after `since`; when the first did and when the last.
    fn all_fresh(&self, since: f64) -> (f64, f64) {
        let mut first = Vec::new();
        until("every viewer has a fresh feed", RECOVERED_WITHIN, || {
            first = self.sight.first(since);
            first.len() == VIEWERS
        });
        let ends = |choose: fn(f64, f64) -> f64| first.iter().copied().reduce(choose).expect("there are viewers");
        (ends(f64::min), ends(f64::max))
    }

    /// Lets events flow undisturbed for so long, until both nodes are ready.
    pub fn settle(&mut self, pause: Duration) {
        thread::sleep(pause);
        self.nodes.iter_mut().for_each(|node| node.wait_for("/readyz"));
    }
}

/// Asks again until it is so.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
