//! A feature store as the server asks it: the same store, with a stopwatch for each kind of question.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use foryou_actors::{
    ports::store::{
        Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit,
        creators::{Before, Related},
    },
    statistics::TallyKey,
};
use foryou_schemas::{EventId, User, UserId, Video, VideoId};
use prometheus_client::metrics::counter::Counter;
use tracing::Instrument;

use crate::telemetry::{Histogram, Metrics, TRACES, traces};

/// What is timed. Scans are not: they belong to starts and commands.
pub const OPERATIONS: [&str; 9] =
    ["write", "known_events", "session", "history", "user", "put_users", "put_videos", "erase_user", "creators"];

/// Times and failures by operation.
pub struct StoreCounts {
    times: Vec<Histogram>,
    failed: Vec<Counter>,
}

impl StoreCounts {
    /// Shows in `metrics` from now on.
    pub fn new(metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            times: OPERATIONS.map(|operation| metrics.store(operation)).into(),
            failed: OPERATIONS.map(|operation| metrics.store_failed(operation)).into(),
        })
    }

    /// Each operation with its times and failures.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Histogram, &Counter)> {
        OPERATIONS
            .into_iter()
            .zip(self.times.iter().zip(&self.failed))
            .map(|(name, (times, failed))| (name, times, failed))
    }

    async fn time<T>(
        &self,
        operation: usize,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let name = OPERATIONS[operation];
        let span = tracing::trace_span!(target: TRACES, "store", otel.name = name, otel.kind = "client");
        let done = work.instrument(span.clone()).await;
        self.times[operation].observe(began.elapsed());
        if let Err(error) = &done {
            self.failed[operation].inc();
            traces::failed(&span, error);
        }
        done
    }
}

/// The store behind, timed.
pub struct TimedStore {
    store: Arc<dyn FeatureStore>,
    counts: Arc<StoreCounts>,
}

impl TimedStore {
    /// Times `store`.
    pub fn new(store: Arc<dyn FeatureStore>, counts: Arc<StoreCounts>) -> Self {
        Self { store, counts }
    }
}

#[async_trait]
impl FeatureStore for TimedStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.counts.time(0, self.store.write(batch)).await
    }

    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        self.counts.time(1, self.store.known_events(ids)).await
    }

    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        self.counts.time(2, self.store.session(user)).await
    }

    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        self.counts.time(3, self.store.history(user, limit)).await
    }

    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.counts.time(4, self.store.user(user)).await
    }

    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        self.counts.time(5, self.store.put_users(users)).await
    }

    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError> {
        self.counts.time(8, self.store.creators(user, before, limit)).await
    }

    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        self.counts.time(6, self.store.put_videos(videos)).await
    }

    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        self.counts.time(7, self.store.erase_user(user)).await
    }

    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        self.store.scan_videos(visit).await
    }

    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        self.store.scan_users(visit).await
    }

    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        self.store.scan_activity(visit).await
    }

    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        self.store.scan_tallies(visit).await
    }

    async fn scan_foreign_tallies(&self, visit: Visit<'_, (Box<str>, TallyKey, Vec<u8>)>) -> Result<(), StoreError> {
        self.store.scan_foreign_tallies(visit).await
    }

    fn trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        self.store.scan_impressions(visit).await
    }
}
