//! A feature store and an event bus in memory, with faults on demand: for tests of what uses the ports.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use foryou_actors::{
    ports::{
        bus::{BusError, Delivery, EventBus, Partitions, Subscription},
        store::{
            Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit,
            creators::{Before, Change, Newest, Related, Standing},
        },
    },
    statistics::TallyKey,
};
use foryou_schemas::{CreatorId, Event, EventId, User, UserId, Video, VideoId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

#[derive(Default)]
pub struct Stored {
    pub events: HashSet<EventId>,
    pub activity: HashMap<UserId, BTreeMap<u64, Activity>>,
    pub snapshots: HashMap<UserId, (u64, Vec<u8>)>,
    pub users: HashMap<UserId, User>,
    pub videos: BTreeMap<VideoId, Video>,
    pub tallies: HashMap<TallyKey, Vec<u8>>,
    pub order: u64,
    pub impressions: Vec<Impression>,
    pub creators: BTreeMap<(UserId, CreatorId), Standing>,
}

impl Stored {
    fn creators_of(&self, user: &UserId) -> Vec<(CreatorId, Standing)> {
        let rows = self.creators.iter().filter(|((who, _), _)| who == user);
        rows.map(|((_, creator), standing)| (creator.clone(), *standing)).collect()
    }
}

pub struct MemoryStore {
    pub stored: Mutex<Stored>,
    /// Every call fails.
    pub away: AtomicBool,
    /// The next write panics.
    pub panic_once: AtomicBool,
    /// The next look-up of events panics.
    pub panic_in_lookup: AtomicBool,
    /// Writes wait while this is false.
    pub open: watch::Sender<bool>,
    /// Look-ups of events wait while this is false.
    pub answers: watch::Sender<bool>,
    /// Look-ups of events that arrived.
    pub lookups: watch::Sender<u64>,
    pub writes: AtomicU64,
    /// Writes that arrived, whether or not they may go on.
    pub attempts: watch::Sender<u64>,
}

impl MemoryStore {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::default(),
            away: AtomicBool::new(false),
            panic_once: AtomicBool::new(false),
            panic_in_lookup: AtomicBool::new(false),
            open: watch::Sender::new(true),
            answers: watch::Sender::new(true),
            lookups: watch::Sender::new(0),
            writes: AtomicU64::new(0),
            attempts: watch::Sender::new(0),
        })
    }

    fn reach(&self) -> Result<(), StoreError> {
        match self.away.load(SeqCst) {
            true => Err(StoreError::Away("switched off by the test".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl FeatureStore for MemoryStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.attempts.send_modify(|n| *n += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        self.reach()?;
        assert!(!self.panic_once.swap(false, SeqCst), "asked to panic");
        let mut stored = self.stored.lock();
        let mut new = HashSet::new();
        for activity in batch.activity {
            if stored.events.insert(activity.event.id.clone()) {
                new.insert(activity.event.id.clone());
                let of_user = stored.activity.entry(activity.event.user.clone()).or_default();
                let taken = of_user.insert(activity.seq, activity);
                assert!(taken.is_none(), "two events under one number: {taken:?}");
            }
        }
        for said in batch.creators {
            if said.event.is_none_or(|event| new.contains(&event)) {
                let standing = stored.creators.entry((said.user, said.creator)).or_default();
                let mut change = Change::default();
                change.add(said.what, said.at);
                *standing = change.apply(*standing);
            }
        }
        stored.snapshots.extend(batch.snapshots.into_iter().map(|(user, seq, bytes)| (user, (seq, bytes))));
        stored.tallies.extend(batch.tallies);
        stored.order = batch.order.unwrap_or(stored.order).max(stored.order);
        stored.impressions.extend(batch.impressions);
        self.writes.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        self.lookups.send_modify(|n| *n += 1);
        self.answers.subscribe().wait_for(|answers| *answers).await.unwrap();
        self.reach()?;
        assert!(!self.panic_in_lookup.swap(false, SeqCst), "asked to panic");
        let stored = self.stored.lock();
        Ok(ids.iter().map(|id| stored.events.contains(id)).collect())
    }

    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        self.reach()?;
        let stored = self.stored.lock();
        let snapshot = stored.snapshots.get(user);
        let after = snapshot.map_or(0, |(seq, _)| *seq);
        let tail = stored.activity.get(user).map(|all| all.range(after + 1..).map(|(_, a)| a.clone()).collect());
        Ok(StoredSession {
            snapshot: snapshot.map(|(_, bytes)| bytes.clone()),
            profile: stored.users.get(user).cloned(),
            tail: tail.unwrap_or_default(),
            creators: stored.creators_of(user),
        })
    }

    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        self.reach()?;
        let stored = self.stored.lock();
        let all = stored.activity.get(user).into_iter().flat_map(|all| all.values().rev());
        Ok(all.take(limit).cloned().collect())
    }

    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError> {
        self.reach()?;
        let mut newest = Newest::new(before, limit);
        let rows = self.stored.lock().creators_of(user);
        rows.into_iter().for_each(|(creator, standing)| newest.add(creator, standing));
        Ok(newest.list())
    }

    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        self.reach()?;
        let mut stored = self.stored.lock();
        Ok(users.iter().map(|(id, user)| stored.users.insert(id.clone(), user.clone()).is_none()).collect())
    }

    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.reach()?;
        let stored = self.stored.lock();
        let by_events = stored.activity.contains_key(user).then(User::default);
        Ok(stored.users.get(user).cloned().or(by_events))
    }

    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        self.reach()?;
        let mut stored = self.stored.lock();
        let activity = stored.activity.remove(user);
        stored.impressions.retain(|i| i.user != *user);
        stored.creators.retain(|(who, _), _| who != user);
        let (profile, snapshot) = (stored.users.remove(user), stored.snapshots.remove(user));
        Ok(activity.is_some() || profile.is_some() || snapshot.is_some())
    }

    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        self.reach()?;
        self.stored.lock().videos.extend(videos.iter().cloned());
        Ok(())
    }

    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        self.reach()?;
        self.stored.lock().videos.iter().try_for_each(|(id, video)| visit((id.clone(), video.clone())))
    }

    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        self.reach()?;
        self.stored.lock().users.iter().try_for_each(|(id, user)| visit((id.clone(), user.clone())))
    }

    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        self.reach()?;
        self.stored.lock().activity.values().flat_map(BTreeMap::values).try_for_each(|a| visit(a.clone()))
    }

    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        self.reach()?;
        let stored = self.stored.lock();
        stored.tallies.iter().try_for_each(|(key, bytes)| visit((key.clone(), bytes.clone())))?;
        Ok(stored.order)
    }

    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        self.reach()?;
        self.stored.lock().impressions.iter().try_for_each(|i| visit(i.clone()))
    }
}

#[derive(Default)]
struct Log {
    ready: VecDeque<Delivery>,
    unsettled: BTreeMap<u64, Delivery>,
    quarantined: Vec<(Vec<u8>, String)>,
    tag: u64,
}

#[derive(Default)]
pub struct MemoryBus(Arc<BusInner>);

#[derive(Default)]
struct BusInner {
    log: Mutex<Log>,
    arrived: Notify,
    settled: Notify,
    broken: AtomicBool,
    panic_in_ack: AtomicBool,
}

impl MemoryBus {
    pub fn publish_raw(&self, payload: &[u8]) {
        let mut log = self.0.log.lock();
        log.tag += 1;
        let delivery = Delivery { tag: log.tag, partition: 0, redelivered: 0, payload: payload.to_vec() };
        log.ready.push_back(delivery);
        drop(log);
        self.0.arrived.notify_one();
    }

    /// The subscription in use fails; the next one works.
    pub fn break_once(&self) {
        self.0.broken.store(true, SeqCst);
        self.0.arrived.notify_one();
    }

    /// The next acknowledgement panics.
    pub fn panic_once(&self) {
        self.0.panic_in_ack.store(true, SeqCst);
    }

    pub fn quarantined(&self) -> Vec<(Vec<u8>, String)> {
        self.0.log.lock().quarantined.clone()
    }

    /// Waits until everything is settled.
    pub async fn idle(&self) {
        let settled = async {
            loop {
                let noticed = self.0.settled.notified();
                tokio::pin!(noticed);
                noticed.as_mut().enable();
                let settled = {
                    let log = self.0.log.lock();
                    log.ready.is_empty() && log.unsettled.is_empty()
                };
                if settled {
                    return;
                }
                noticed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), settled).await.expect("the bus did not become idle");
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        events.iter().for_each(|event| self.publish_raw(&serde_json::to_vec(event).unwrap()));
        Ok(())
    }

    fn partitions(&self) -> u16 {
        1
    }

    async fn subscribe(&self, _partitions: &Partitions, _credit: usize) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(MemorySubscription(self.0.clone())))
    }

    async fn depth(&self) -> Result<u64, BusError> {
        let log = self.0.log.lock();
        Ok((log.ready.len() + log.unsettled.len()) as u64)
    }

    async fn settled(&self, _user: &UserId) -> Result<(), BusError> {
        self.idle().await;
        Ok(())
    }
}

struct MemorySubscription(Arc<BusInner>);

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut log = self.0.log.lock();
        let back: Vec<u64> = log.unsettled.keys().copied().collect();
        give_back(&mut log, &back);
        drop(log);
        self.0.arrived.notify_one();
    }
}

/// Under new tags, in the order of the old ones, before what waits.
fn give_back(log: &mut Log, tags: &[u64]) {
    for tag in tags.iter().rev() {
        if let Some(mut delivery) = log.unsettled.remove(tag) {
            log.tag += 1;
            delivery.tag = log.tag;
            delivery.redelivered += 1;
            log.ready.push_front(delivery);
        }
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            if self.0.broken.swap(false, SeqCst) {
                return Err(BusError::Away("broken by the test".into()));
            }
            let taken: Vec<Delivery> = {
                let mut log = self.0.log.lock();
                let count = max.min(log.ready.len());
                let taken: Vec<Delivery> = log.ready.drain(..count).collect();
                log.unsettled.extend(taken.iter().map(|d| (d.tag, d.clone())));
                taken
            };
            if !taken.is_empty() {
                return Ok(taken);
            }
            self.0.arrived.notified().await;
        }
    }

    async fn hold(&mut self, _partition: u16) -> Result<(), BusError> {
        Ok(())
    }

    async fn release(&mut self, _partition: u16) -> Result<(), BusError> {
        Ok(())
    }

    async fn ack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        assert!(!self.0.panic_in_ack.swap(false, SeqCst), "asked to panic");
        let mut log = self.0.log.lock();
        for tag in tags {
            assert!(log.unsettled.remove(tag).is_some(), "settled twice: {tag}");
        }
        drop(log);
        self.0.settled.notify_waiters();
        Ok(())
    }

    async fn nack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        give_back(&mut self.0.log.lock(), tags);
        self.0.arrived.notify_one();
        Ok(())
    }

    async fn quarantine(&mut self, tag: u64, reason: &str) -> Result<(), BusError> {
        let mut log = self.0.log.lock();
        let delivery = log.unsettled.remove(&tag).expect("unknown tag");
        log.quarantined.push((delivery.payload, reason.to_owned()));
        drop(log);
        self.0.settled.notify_waiters();
        Ok(())
    }
}
