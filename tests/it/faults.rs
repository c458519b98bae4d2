//! A store and a bus that fail or hang on demand, in front of real ones.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use foryou::engines::Engines;
use foryou_actors::{
    ports::{
        bus::{BusError, EventBus, Partitions, Subscription},
        store::{
            Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit,
            creators::{Before, Related},
        },
    },
    statistics::TallyKey,
};
use foryou_schemas::{Event, EventId, User, UserId, Video, VideoId};
use tokio::sync::watch;

/// How an engine behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// Every call fails at once.
    Fails,
    /// Every call waits until this changes.
    Hangs,
    /// Every call of the store takes a while, as over a network.
    Slow,
    /// The bus takes nothing more.
    Full,
}

/// Switches engines between modes.
#[derive(Clone)]
pub struct Switch(Arc<watch::Sender<Mode>>);

impl Switch {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Mode::Well)))
    }

    pub fn set(&self, mode: Mode) {
        self.0.send_replace(mode);
    }

    /// Puts the switch in front of a server's store.
    pub fn store(&self) -> impl FnOnce(Engines) -> Engines + Send + 'static {
        let switch = self.clone();
        move |engines| Engines { store: Arc::new(Faulty { inner: engines.store, switch }), ..engines }
    }

    /// Puts the switch in front of a server's bus.
    pub fn bus(&self) -> impl FnOnce(Engines) -> Engines + Send + 'static {
        let switch = self.clone();
        move |engines| Engines { bus: Arc::new(Faulty { inner: engines.bus, switch }), ..engines }
    }

    async fn pass(&self) -> Mode {
        *self.0.subscribe().wait_for(|mode| *mode != Mode::Hangs).await.unwrap()
    }

    fn trouble(&self) -> Option<String> {
        (*self.0.borrow() != Mode::Well).then(|| "switched off by the test".to_owned())
    }
}

struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    switch: Switch,
}

impl Faulty<dyn FeatureStore> {
    async fn pass(&self) -> Result<&Arc<dyn FeatureStore>, StoreError> {
        match self.switch.pass().await {
            Mode::Well => Ok(&self.inner),
            Mode::Slow => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(&self.inner)
            }
            _ => Err(StoreError::Away("switched off by the test".into())),
        }
    }
}

#[async_trait]
impl FeatureStore for Faulty<dyn FeatureStore> {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.pass().await?.write(batch).await
    }
    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        self.pass().await?.known_events(ids).await
    }
    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        self.pass().await?.session(user).await
    }
    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        self.pass().await?.history(user, limit).await
    }
    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError> {
        self.pass().await?.creators(user, before, limit).await
    }
    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        self.pass().await?.put_users(users).await
    }
    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.pass().await?.user(user).await
    }
    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        self.pass().await?.erase_user(user).await
    }
    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        self.pass().await?.put_videos(videos).await
    }
    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        self.pass().await?.scan_videos(visit).await
    }
    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        self.pass().await?.scan_users(visit).await
    }
    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        self.pass().await?.scan_activity(visit).await
    }
    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        self.pass().await?.scan_tallies(visit).await
    }
    async fn scan_foreign_tallies(&self, visit: Visit<'_, (Box<str>, TallyKey, Vec<u8>)>) -> Result<(), StoreError> {
        self.pass().await?.scan_foreign_tallies(visit).await
    }
    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        self.pass().await?.scan_impressions(visit).await
    }
    fn trouble(&self) -> Option<String> {
        self.switch.trouble()
    }
}

#[async_trait]
impl EventBus for Faulty<dyn EventBus> {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        match self.switch.pass().await {
            Mode::Well => self.inner.publish(events).await,
            Mode::Full => Err(BusError::Full { retry_after: Duration::from_millis(1_500) }),
            _ => Err(BusError::Away("switched off by the test".into())),
        }
    }
    fn partitions(&self) -> u16 {
        self.inner.partitions()
    }
    async fn subscribe(&self, partitions: &Partitions, credit: usize) -> Result<Box<dyn Subscription>, BusError> {
        self.inner.subscribe(partitions, credit).await
    }
    async fn depth(&self) -> Result<u64, BusError> {
        self.inner.depth().await
    }
    async fn settled(&self, user: &UserId) -> Result<(), BusError> {
        self.inner.settled(user).await
    }
    fn trouble(&self) -> Option<String> {
        self.switch.trouble()
    }
}
