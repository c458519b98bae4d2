//! The sockets that are open on this node: how many there may be, what is remembered of those that dropped, and their end.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::Addr;
use foryou_schemas::UserId;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use rand::Rng;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    actor::{FeedSocket, Holder},
    messages::Cause,
    subscription::{LeftAt, Resume},
};
use crate::{
    config,
    error::Problem,
    telemetry::{Histogram, Metrics},
};

/// Subscriptions that are remembered after a drop.
const REMEMBERED: usize = 16_384;

/// The handle; clones share.
#[derive(Clone)]
pub struct Sockets(Arc<Shared>);

struct Shared {
    settings: config::Sockets,
    counts: Counts,
    open: AtomicUsize,
    unread: Arc<AtomicUsize>,
    by_user: Mutex<HashMap<UserId, usize>>,
    /// Subscriptions by the sockets that are open.
    held: Mutex<HashMap<Uuid, Holder>>,
    left: Mutex<Left>,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Left {
    by_id: HashMap<Uuid, (UserId, LeftAt)>,
    oldest: VecDeque<Uuid>,
}

/// How long a client may take to agree to the end.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// Why a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// The client closed it.
    Client,
    /// The connection broke.
    Gone,
    /// The client did not answer pings.
    Silent,
    /// The client said nothing for long.
    Idle,
    /// The client did not read.
    Slow,
    /// What it was opened with is not good any more.
    Expired,
    /// Another node holds the person.
    Moved,
    /// Another socket goes on with the subscription.
    TakenOver,
    /// A message was too large.
    TooLarge,
    /// What came was no WebSocket.
    NotFrames,
    /// The server stops.
    Stops,
}

impl Ended {
    /// All of them.
    const ALL: [Self; 11] = [
        Self::Client,
        Self::Gone,
        Self::Silent,
        Self::Idle,
        Self::Slow,
        Self::Expired,
        Self::Moved,
        Self::TakenOver,
        Self::TooLarge,
        Self::NotFrames,
        Self::Stops,
    ];

    /// As the client is told.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Client => "",
            Self::Gone => "the connection broke",
            Self::Silent => "no answer to pings",
            Self::Idle => "idle",
            Self::Slow => "what was sent is not read",
            Self::Expired => "the token has expired",
            Self::Moved => "another node holds this user now",
            Self::TakenOver => "another socket goes on with this subscription",
            Self::TooLarge => "the message is too large",
            Self::NotFrames => "not a WebSocket frame",
            Self::Stops => "the server stops",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Expired => "expired",
            Self::Moved => "moved",
            Self::TakenOver => "taken_over",
            Self::TooLarge => "too_large",
            Self::NotFrames => "not_frames",
            Self::Stops => "stops",
        }
    }
}

/// What is counted about sockets.
pub struct Counts {
    pushes: [Counter; Cause::ALL.len()],
    ended: [Counter; Ended::ALL.len()],
    /// Tails that were put off, since the client had not read what it was sent.
    pub degraded: Counter,
    /// From an action's arrival until the tail because of it is written.
    pub action: Histogram,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        Self {
            pushes: Cause::ALL.map(|cause| metrics.pushes(cause.word())),
            ended: Ended::ALL.map(|ended| metrics.sockets_closed(ended.word())),
            degraded: metrics.counter("feed_sockets_degraded", "Tails put off for clients that read too slowly"),
            action: metrics
                .latency("feed_socket_action_seconds", "From an action over a feed socket to the tail it brings"),
        }
    }

    /// A tail was sent.
    pub fn pushed(&self, cause: Cause) {
        self.pushes[cause as usize].inc();
    }

    /// A socket ended.
    pub fn ended(&self, why: Ended) {
        self.ended[why as usize].inc();
    }
}

/// A place among the open sockets; free again when it is dropped.
pub struct Place {
    user: UserId,
    sockets: Sockets,
}

impl Sockets {
    /// None is open.
    pub fn new(settings: config::Sockets, metrics: &Metrics) -> Self {
        Self(Arc::new(Shared {
            settings,
            counts: Counts::new(metrics),
            open: AtomicUsize::new(0),
            unread: Arc::default(),
            by_user: Mutex::default(),
            held: Mutex::default(),
            left: Mutex::default(),
            stopping: watch::Sender::new(false),
        }))
    }

    /// As configured.
    pub fn settings(&self) -> &config::Sockets {
        &self.0.settings
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.open.load(Relaxed)
    }

    /// What is counted.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Bytes that were written to sockets and that their clients are not known to have read.
    pub fn unread(&self) -> &Arc<AtomicUsize> {
        &self.0.unread
    }

    /// A place for one more of a person.
    pub fn enter(&self, user: &UserId) -> Result<Place, Problem> {
        if *self.0.stopping.borrow() {
            return Err(Problem::overloaded("The server stops", Duration::from_secs(1)));
        }
        let mut by_user = self.0.by_user.lock();
        let of_user = by_user.get(user).copied().unwrap_or(0);
        if of_user >= self.0.settings.per_user.count() {
            return Err(Problem::too_many(&format!("This user has {of_user} feed sockets open already")));
        }
        if self.count() >= self.0.settings.max.count() {
            return Err(Problem::overloaded("Too many feed sockets are open", Duration::from_secs(2)));
        }
        self.0.open.fetch_add(1, Relaxed);
        by_user.insert(user.clone(), of_user + 1);
        Ok(Place { user: user.clone(), sockets: self.clone() })
    }

    /// Where a subscription goes on: as the client's word says, or further, where this node remembers more. A word of somebody
    /// else's subscription is worth nothing.
    pub fn resumed(&self, user: &UserId, resume: Resume) -> LeftAt {
        let left = self.0.left.lock();
        match left.by_id.get(&resume.id) {
            Some((whose, known)) if whose == user && known.resume.seq >= resume.seq => known.clone(),
            _ => LeftAt { resume, after: None },
        }
    }

    /// The open socket that has a subscription, if one has.
    pub fn holder(&self, id: Uuid) -> Option<Addr<FeedSocket>> {
        self.0.held.lock().get(&id)?.upgrade()
    }

    /// A socket has a subscription from now on.
    pub fn hold(&self, id: Uuid, holder: Holder) {
        self.0.held.lock().insert(id, holder);
    }

    /// Remembers where a subscription was left; no socket has it any more.
    pub fn leave(&self, user: &UserId, at: LeftAt) {
        let id = at.resume.id;
        self.0.held.lock().remove(&id);
        let mut left = self.0.left.lock();
        if left.by_id.insert(id, (user.clone(), at)).is_none() {
            left.oldest.push_back(id);
        }
        if left.oldest.len() > REMEMBERED
            && let Some(oldest) = left.oldest.pop_front()
        {
            left.by_id.remove(&oldest);
        }
    }

    /// When a client may come back whose server stops: each at another time.
    pub fn retry() -> Duration {
        Duration::from_millis(rand::rng().random_range(200..2_000))
    }

    /// Asks all to end, and takes no more.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Tells when they are to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sockets.0.open.fetch_sub(1, Relaxed);
        let mut by_user = self.sockets.0.by_user.lock();
        if let Some(count) = by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(settings: config::Sockets) -> Sockets {
        Sockets::new(settings, &Metrics::default())
    }

    #[test]
    fn each_end_and_each_cause_has_its_counter() {
        let metrics = Metrics::default();
        let sockets = Sockets::new(config::Sockets::default(), &metrics);
        Ended::ALL.into_iter().for_each(|ended| sockets.counts().ended(ended));
        Cause::ALL.into_iter().for_each(|cause| sockets.counts().pushed(cause));
        let text = metrics.encode().unwrap();
        let ended =
            Ended::ALL.map(|ended| format!("foryou_feed_sockets_closed_total{{reason=\"{}\"}} 1", ended.word()));
        let pushed = Cause::ALL.map(|cause| format!("foryou_feed_socket_pushes_total{{cause=\"{}\"}} 1", cause.word()));
        for line in ended.iter().chain(&pushed) {
            assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
        }
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn a_person_has_no_more_than_so_many_and_a_place_becomes_free_again() {
        let sockets = sockets(config::Sockets { per_user: crate::config::Whole::new(2), ..config::Sockets::default() });
        let (one, two) = (sockets.enter(&user("ann")).unwrap(), sockets.enter(&user("ann")).unwrap());
        assert!(sockets.enter(&user("ann")).is_err() && sockets.enter(&user("bob")).is_ok());
        drop(one);
        assert_eq!(sockets.count(), 1);
        assert!(sockets.enter(&user("ann")).is_ok());
        drop(two);
        sockets.stop();
        assert!(sockets.enter(&user("ann")).is_err());
    }

    #[test]
    fn only_whose_it_was_goes_on_where_it_was_left() {
        let sockets = sockets(config::Sockets::default());
        let at = |head, seq| Resume { id: Uuid::from_u128(7), head, seq };
        let told = |head, seq| LeftAt { resume: at(head, seq), after: None };
        let known = LeftAt { after: Some(foryou_schemas::EventId::from_u128(1)), ..told(9, 5) };
        sockets.leave(&user("ann"), known.clone());
        assert_eq!(sockets.resumed(&user("ann"), at(0, 0)), known);
        assert_eq!(sockets.resumed(&user("ann"), at(20, 7)), told(20, 7), "the client knows more");
        assert_eq!(sockets.resumed(&user("bob"), at(0, 0)), told(0, 0));
    }
}
