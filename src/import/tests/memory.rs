//! A feature store in memory, for what an import writes.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use foryou_actors::{
    ports::store::{Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit},
    statistics::TallyKey,
};
use foryou_schemas::{EventId, User, UserId, Video, VideoId};
use parking_lot::Mutex;

#[derive(Default)]
pub struct MemoryStore(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    users: BTreeMap<UserId, User>,
    videos: BTreeMap<String, Video>,
    activity: BTreeMap<UserId, Vec<Activity>>,
    events: HashSet<EventId>,
    snapshots: BTreeMap<UserId, (u64, Vec<u8>)>,
    tallies: BTreeMap<TallyKey, Vec<u8>>,
    order: u64,
}

impl MemoryStore {
    pub fn videos(&self) -> BTreeMap<String, Video> {
        self.0.lock().videos.clone()
    }
    pub fn tallies(&self) -> BTreeMap<TallyKey, Vec<u8>> {
        self.0.lock().tallies.clone()
    }
    pub fn activity(&self) -> BTreeMap<UserId, Vec<Activity>> {
        self.0.lock().activity.clone()
    }
}

#[async_trait]
impl FeatureStore for MemoryStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut inner = self.0.lock();
        for activity in batch.activity {
            if inner.events.insert(activity.event.id.clone()) {
                inner.activity.entry(activity.event.user.clone()).or_default().push(activity);
            }
        }
        for (user, seq, bytes) in batch.snapshots {
            inner.snapshots.insert(user, (seq, bytes));
        }
        inner.tallies.extend(batch.tallies);
        inner.order = batch.order.unwrap_or(inner.order);
        Ok(())
    }
    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        let inner = self.0.lock();
        Ok(ids.iter().map(|id| inner.events.contains(id)).collect())
    }
    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        let inner = self.0.lock();
        let (seq, snapshot) = inner.snapshots.get(user).cloned().map_or((0, None), |(seq, bytes)| (seq, Some(bytes)));
        let all = inner.activity.get(user).into_iter().flatten();
        let tail = all.filter(|a| a.seq > seq).cloned().collect();
        Ok(StoredSession { snapshot, profile: inner.users.get(user).cloned(), tail })
    }
    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        let inner = self.0.lock();
        Ok(inner.activity.get(user).into_iter().flatten().rev().take(limit).cloned().collect())
    }
    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        let mut inner = self.0.lock();
        Ok(users.iter().map(|(id, user)| inner.users.insert(id.clone(), user.clone()).is_none()).collect())
    }
    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.0.lock().users.get(user).cloned())
    }
    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.0.lock().users.remove(user).is_some())
    }
    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        self.0.lock().videos.extend(videos.iter().map(|(id, video)| (id.to_string(), video.clone())));
        Ok(())
    }
    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        let id = |text: String| VideoId::new(text).map_err(StoreError::Corrupt);
        self.videos().into_iter().try_for_each(|(text, video)| visit((id(text)?, video)))
    }
    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        let users = self.0.lock().users.clone();
        users.into_iter().try_for_each(visit)
    }
    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        self.activity().into_values().flatten().try_for_each(visit)
    }
    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        self.tallies().into_iter().try_for_each(visit)?;
        Ok(self.0.lock().order)
    }
    async fn scan_impressions(&self, _visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        Ok(())
    }
}
