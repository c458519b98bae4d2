//! How fresh feeds are: from an accepted event to the first feed that reflects it.
//!
//! Each person has at most one event under watch, so an event costs a look into a small map, and so does a feed. The time for which
//! a person did not ask for a feed is nobody's delay and is left out: the clock runs from the acceptance, or from the first time
//! that the person asked after it, whichever is later, to the answer that reflects the event. A feed that was answered before and did not
//! is counted as stale.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use foryou_actors::sessions::state::{SessionState, event_hash};
use foryou_schemas::{EventId, UserId};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use super::{Histogram, Metrics};

/// Maps, so that requests seldom meet at one lock.
const SHARDS: usize = 32;
/// The most people under watch in each map; who comes on top is not watched, and counted.
const PER_SHARD: usize = 4_096;
/// An event whose person asked for no feed for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Watches events until a feed reflects them.
pub struct Freshness {
    shards: [Mutex<HashMap<u64, Watched>>; SHARDS],
    delay: Histogram,
    stale: Counter,
    unasked: Counter,
    unwatched: Counter,
}

#[derive(Clone, Copy)]
struct Watched {
    event: u64,
    accepted: Instant,
    /// When a feed was first asked for that did not reflect it.
    asked: Option<Instant>,
}

/// What a feed found under watch; see [`Freshness::answered`].
#[must_use]
pub struct Reflected(Instant);

impl Freshness {
    /// Watches nothing yet; what it counts shows in `metrics`.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "From an accepted event to the first feed that reflects it, without the time for which nobody asked";
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            delay: metrics.latency("freshness_seconds", help),
            stale: metrics.counter("freshness_stale", "Feeds that did not reflect yet what had been accepted"),
            unasked: metrics.counter("freshness_unasked", "Events after which nobody asked for a feed within a minute"),
            unwatched: metrics.counter("freshness_unwatched", "Events not measured because too many were under watch"),
        }
    }

    /// An event was accepted just now, and its person is this node's.
    pub fn accepted(&self, user: &UserId, event: &EventId) {
        let (key, event) = (event_hash(user.as_str()), event_hash(event.as_str()));
        let watched = Watched { event, accepted: Instant::now(), asked: None };
        let mut shard = self.shard(key).lock();
        let room = shard.len() < PER_SHARD;
        match shard.entry(key) {
            // While nobody asks, the latest event is the last to be reflected; once somebody has, the first one is waited for.
            Entry::Occupied(mut entry) if entry.get().asked.is_none() => _ = entry.insert(watched),
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) if room => _ = entry.insert(watched),
            Entry::Vacant(_) => _ = self.unwatched.inc(),
        }
    }

    /// A feed that was asked for at `asked` is made from `session`.
    pub fn read(&self, user: &UserId, session: &SessionState, asked: Instant) -> Option<Reflected> {
        let key = event_hash(user.as_str());
        let mut shard = self.shard(key).lock();
        let watched = shard.get_mut(&key)?;
        if session.applied_lately(watched.event) {
            let since = watched.asked.unwrap_or(asked).max(watched.accepted);
            shard.remove(&key);
            return Some(Reflected(since));
        }
        // One that was asked for before the event was accepted could not have it.
        if asked >= watched.accepted {
            watched.asked.get_or_insert(asked);
            self.stale.inc();
        }
        None
    }

    /// The feed is answered.
    pub fn answered(&self, reflected: Option<Reflected>) {
        if let Some(Reflected(since)) = reflected {
            self.delay.observe(since.elapsed());
        }
    }

    /// Forgets what nobody asks about any more. Call it every few seconds.
    pub fn forget(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|_, watched| watched.accepted.elapsed() < FORGOTTEN_AFTER);
            self.unasked.inc_by((before - shard.len()) as u64);
        }
    }

    /// Events under watch.
    pub fn watched(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// How long it took.
    pub fn delay(&self) -> &Histogram {
        &self.delay
    }

    /// Feeds that were stale so far.
    pub fn stale(&self) -> u64 {
        self.stale.get()
    }

    /// Events so far that nobody asked about.
    pub fn unasked(&self) -> u64 {
        self.unasked.get()
    }

    fn shard(&self, key: u64) -> &Mutex<HashMap<u64, Watched>> {
        &self.shards[(key >> 32) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use foryou_actors::{catalogue::Entry as Video, sessions::state::Incoming};
    use foryou_schemas::{Kind, Timestamp};

    use super::*;

    fn applied(session: &mut SessionState, event: &EventId) {
        session.apply(&Incoming {
            id: event_hash(event.as_str()),
            video: 0,
            entry: Video {
                creator: 0,
                category: 0,
                duration_ms: 9_000,
                age_rating: 0,
                live: true,
                published_at: Timestamp::now(),
                country: None,
            },
            kind: Kind::Like,
            watch_ms: 0,
            at_ms: 1_700_000_000_000,
            surface: 0,
            expected: Default::default(),
        });
    }

    #[test]
    fn the_first_feed_that_reflects_an_event_is_timed_and_those_before_are_stale() {
        let freshness = Freshness::new(&Metrics::default());
        let (user, mut session) = (UserId::new("u").unwrap(), SessionState::default());
        let events = ["a", "b", "c"].map(|id| EventId::new(id).unwrap());
        assert!(freshness.read(&user, &session, Instant::now()).is_none());
        let before = Instant::now();
        freshness.accepted(&user, &events[0]);
        freshness.accepted(&user, &events[1]);
        // The first is applied, the second is not.
        applied(&mut session, &events[0]);
        assert!(freshness.read(&user, &session, before).is_none());
        assert_eq!(freshness.stale(), 0, "asked before it was accepted");
        assert!(freshness.read(&user, &session, Instant::now()).is_none());
        freshness.accepted(&user, &events[2]);
        applied(&mut session, &events[1]);
        let reflected = freshness.read(&user, &session, Instant::now());
        freshness.answered(reflected);
        assert_eq!((freshness.stale(), freshness.delay().count(), freshness.watched()), (1, 1, 0));
        freshness.forget();
        assert_eq!(freshness.unasked(), 0);
    }
}
