//! Tells who holds a feed open that it may have become stale.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Waker},
};

use async_trait::async_trait;
use foryou_schemas::{EventId, Kind, UserId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    catalogue::{CatalogueListener, VideoChange},
    queue::{Receiver, Sender, bounded},
    status::QueueStatus,
    supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use crate::{
    catalogue::{Catalogue, VideoIndex},
    sessions::{SessionError, Sessions},
};

/// Bounds of the hub.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionSettings {
    /// The most changes that wait to be told.
    pub queue: usize,
    /// The most notices that wait for one subscriber.
    pub per_subscriber: usize,
}

impl Default for SubscriptionSettings {
    fn default() -> Self {
        Self { queue: 4_096, per_subscriber: 32 }
    }
}

/// Why a feed may have become stale. One that waits stands for those dropped behind it: the answer to any is a new feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The person's session applied an event.
    Session {
        /// The event.
        event: EventId,
        /// What it was.
        kind: Kind,
    },
    /// A followed creator published a video.
    Video(VideoIndex),
    /// Other models serve.
    Release(Arc<str>),
}

/// The handle of the hub.
#[derive(Clone)]
pub struct Subscriptions(Arc<Shared>);

struct Shared {
    settings: SubscriptionSettings,
    changes: Sender<Change>,
    subscribers: Mutex<Subscribers>,
    next: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Subscribers {
    by_user: HashMap<UserId, Vec<(u64, Arc<Mailbox>)>>,
    /// Subscribed people by followed creator, and back.
    followers: HashMap<u32, HashSet<UserId>>,
    followed: HashMap<UserId, HashSet<u32>>,
}

enum Change {
    Session(UserId, Vec<(EventId, Kind, u32)>),
    Videos(Vec<(u32, VideoIndex)>),
    Release(Arc<str>),
}

/// Notices for one subscriber. A channel would have its memory before anything is in it, and there are many subscribers.
#[derive(Default)]
struct Mailbox(Mutex<Mail>);

#[derive(Default)]
struct Mail {
    notices: VecDeque<Notice>,
    reader: Option<Waker>,
}

impl Mailbox {
    /// Puts a notice in, unless so many wait; says whether.
    fn put(&self, notice: Notice, most: usize) -> bool {
        let mut mail = self.0.lock();
        if mail.notices.len() >= most {
            return false;
        }
        mail.notices.push_back(notice);
        if let Some(reader) = mail.reader.take() {
            reader.wake();
        }
        true
    }
}

/// One subscriber's end. Dropping it ends the subscription.
pub struct Subscriber {
    user: UserId,
    number: u64,
    mailbox: Arc<Mailbox>,
    hub: Subscriptions,
}

impl Subscriber {
    /// The next notice.
    pub async fn next(&mut self) -> Notice {
        poll_fn(|context| {
            let mut mail = self.mailbox.0.lock();
            match mail.notices.pop_front() {
                Some(notice) => Poll::Ready(notice),
                None => {
                    mail.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// A notice that waits already.
    pub fn try_next(&mut self) -> Option<Notice> {
        self.mailbox.0.lock().notices.pop_front()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.0.subscribers.lock().remove(&self.user, self.number);
    }
}

impl Subscriptions {
    /// The handle, and the service to be supervised.
    pub fn new(settings: SubscriptionSettings) -> (Self, ServiceSpec) {
        let (changes, receiver) = bounded(settings.queue);
        let gauge = changes.gauge();
        let hub = Self(Arc::new(Shared {
            settings,
            changes,
            subscribers: Mutex::default(),
            next: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }));
        let (service, notices) = (hub.clone(), hub.clone());
        let spec = ServiceSpec::new("subscriptions", move || Hub { changes: receiver.clone(), hub: service.clone() });
        let dropped = move || QueueStatus { depth: 0, capacity: settings.per_subscriber, dropped: notices.dropped() };
        (hub, spec.queue("changes", gauge).queue("notices", Arc::new(dropped)))
    }

    /// Subscribes to everything that concerns a person.
    pub async fn subscribe(&self, user: UserId, sessions: &Sessions) -> Result<Subscriber, SessionError> {
        let mailbox = Arc::<Mailbox>::default();
        let number = self.0.next.fetch_add(1, Relaxed);
        self.0.subscribers.lock().by_user.entry(user.clone()).or_default().push((number, mailbox.clone()));
        let subscriber = Subscriber { user, number, mailbox, hub: self.clone() };
        // First subscribed, then looked up: a follow in between is told, and found as well.
        let session = sessions.view(&subscriber.user).await?;
        let mut subscribers = self.0.subscribers.lock();
        session.followed.iter().for_each(|creator| subscribers.follow(&subscriber.user, *creator));
        drop(subscribers);
        Ok(subscriber)
    }

    /// Whether anybody listens to a person's session.
    pub fn is_subscribed(&self, user: &UserId) -> bool {
        self.0.subscribers.lock().by_user.contains_key(user)
    }

    /// How many subscribers there are.
    pub fn count(&self) -> usize {
        self.0.subscribers.lock().by_user.values().map(Vec::len).sum()
    }

    /// Notices that were dropped because a subscriber did not read.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Tells that a session applied events: each with its kind and the video's creator.
    pub fn session_changed(&self, user: &UserId, events: impl IntoIterator<Item = (EventId, Kind, u32)>) {
        if self.is_subscribed(user) {
            self.0.changes.offer(Change::Session(user.clone(), events.into_iter().collect()));
        }
    }

    /// Tells that a release was swapped in.
    pub fn release_swapped(&self, release: &str) {
        self.0.changes.offer(Change::Release(release.into()));
    }

    fn tell(&self, user: &UserId, notice: &Notice, subscribers: &Subscribers) {
        for (_, subscriber) in subscribers.by_user.get(user).into_iter().flatten() {
            if !subscriber.put(notice.clone(), self.0.settings.per_subscriber) {
                self.0.dropped.fetch_add(1, Relaxed);
            }
        }
    }
}

#[async_trait]
impl CatalogueListener for Subscriptions {
    async fn videos_changed(&self, catalogue: &Arc<Catalogue>, changes: &[VideoChange]) {
        let published = changes.iter().filter(|change| change.is_new && change.live);
        let videos: Vec<_> =
            published.filter_map(|change| Some((catalogue.entry(change.video)?.creator, change.video))).collect();
        if !videos.is_empty() && self.count() > 0 {
            self.0.changes.offer(Change::Videos(videos));
        }
    }
}

impl Subscribers {
    fn follow(&mut self, user: &UserId, creator: u32) {
        if self.by_user.contains_key(user) {
            self.followers.entry(creator).or_default().insert(user.clone());
            self.followed.entry(user.clone()).or_default().insert(creator);
        }
    }

    fn unfollow(&mut self, user: &UserId, creator: u32) {
        if let Some(users) = self.followers.get_mut(&creator) {
            users.remove(user);
            if users.is_empty() {
                self.followers.remove(&creator);
            }
        }
        if let Some(creators) = self.followed.get_mut(user) {
            creators.remove(&creator);
        }
    }

    fn remove(&mut self, user: &UserId, number: u64) {
        let Some(ends) = self.by_user.get_mut(user) else { return };
        ends.retain(|(each, _)| *each != number);
        if ends.is_empty() {
            self.by_user.remove(user);
            for creator in self.followed.remove(user).unwrap_or_default() {
                self.unfollow(user, creator);
            }
        }
    }
}

struct Hub {
    changes: Receiver<Change>,
    hub: Subscriptions,
}

#[async_trait]
impl Service for Hub {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while let Some(change) = self.changes.next(&context.stop).await {
            let started = Instant::now();
            self.spread(change);
            context.probe.handled(1, started.elapsed());
        }
        Ok(())
    }
}

impl Hub {
    fn spread(&self, change: Change) {
        let mut subscribers = self.hub.0.subscribers.lock();
        match change {
            Change::Session(user, events) => {
                for (event, kind, creator) in events {
                    match kind {
                        Kind::Follow => subscribers.follow(&user, creator),
                        Kind::Unfollow | Kind::Block => subscribers.unfollow(&user, creator),
                        _ => {}
                    }
                    self.hub.tell(&user, &Notice::Session { event, kind }, &subscribers);
                }
            }
            Change::Videos(videos) => {
                for (creator, video) in videos {
                    for user in subscribers.followers.get(&creator).into_iter().flatten() {
                        self.hub.tell(user, &Notice::Video(video), &subscribers);
                    }
                }
            }
            Change::Release(name) => {
                for user in subscribers.by_user.keys() {
                    self.hub.tell(user, &Notice::Release(name.clone()), &subscribers);
                }
            }
        }
    }
}
