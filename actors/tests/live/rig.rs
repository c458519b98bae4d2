//! Everything of a node but its feeds, wired as the server wires it.

use std::{sync::Arc, time::Duration};

use foryou_actors::{
    live::Live,
    ports::{bus::EventBus, store::FeatureStore},
    services::{
        catalogue::{self, CatalogueSettings, CatalogueWriter},
        ingest::{Ingest, IngestParts, IngestSettings},
        membership::Membership,
        subscriptions::{SubscriptionSettings, Subscriptions},
        supervisor::{RestartPolicy, Supervisor},
        sweeper,
        writer::{FeatureWriter, WriterSettings},
    },
    sessions::{SessionSettings, Sessions},
};
use foryou_schemas::{Event, EventId, Timestamp, UserId, Video, VideoId};

use super::memory::{MemoryBus, MemoryStore};

pub const DEADLINE: Duration = Duration::from_secs(20);
pub const START_MS: i64 = 1_700_000_000_000;

pub struct Rig {
    pub store: Arc<MemoryStore>,
    pub bus: Arc<MemoryBus>,
    pub live: Arc<Live>,
    pub writer: FeatureWriter,
    pub sessions: Sessions,
    pub catalogue: CatalogueWriter,
    pub subscriptions: Subscriptions,
    pub ingest: Ingest,
    pub supervisor: Supervisor,
}

impl Rig {
    pub async fn new() -> Self {
        Self::on(MemoryStore::new(), Arc::default(), SessionSettings::default()).await
    }

    pub async fn on(store: Arc<MemoryStore>, bus: Arc<MemoryBus>, sessions: SessionSettings) -> Self {
        let videos: Vec<_> = (0..40).map(|n| (video_id(n), video(n % 7, n % 3))).collect();
        store.put_videos(&videos).await.unwrap();
        let live = Arc::new(Live::default());
        catalogue::load(&*store, &live).await.unwrap();
        let port: Arc<dyn FeatureStore> = store.clone();
        let settings = WriterSettings { linger: Duration::from_millis(1), ..WriterSettings::default() };
        let (writer, writing) = FeatureWriter::new(settings, port.clone());
        let sessions = Sessions::start(sessions, port.clone(), live.clone(), writer.clone()).unwrap();
        let (subscriptions, hub) = Subscriptions::new(SubscriptionSettings::default());
        let listeners: Vec<Arc<dyn catalogue::CatalogueListener>> = vec![Arc::new(subscriptions.clone())];
        let (catalogue, cataloguing) =
            CatalogueWriter::new(CatalogueSettings::default(), port.clone(), live.clone(), listeners, None);
        let parts = IngestParts {
            bus: bus.clone() as Arc<dyn EventBus>,
            store: port,
            live: live.clone(),
            sessions: sessions.clone(),
            writer: writer.clone(),
            subscriptions: subscriptions.clone(),
            membership: Membership::alone("test", 1),
        };
        let settings = IngestSettings { retry_after: Duration::from_millis(5), ..IngestSettings::default() };
        let (ingest, ingesting) = Ingest::new(settings, parts);
        let services = vec![writing, sweeper::service(sessions.clone()), cataloguing, hub, ingesting];
        let policy = RestartPolicy { budget: 100, first_backoff: Duration::from_millis(1), ..RestartPolicy::default() };
        let supervisor = Supervisor::start(policy, services).await.unwrap();
        assert!(tokio::time::timeout(DEADLINE, supervisor.ready()).await.unwrap());
        Self { store, bus, live, writer, sessions, catalogue, subscriptions, ingest, supervisor }
    }

    /// Publishes events and waits until they are durable and settled.
    pub async fn ingest(&self, events: &[Event]) {
        self.bus.publish(events).await.unwrap();
        self.bus.idle().await;
    }

    /// Stops in order, as the server does. What is left is the store and the bus.
    pub async fn stop(self) -> (Arc<MemoryStore>, Arc<MemoryBus>) {
        assert_eq!(self.supervisor.stop(DEADLINE).await, Vec::<&str>::new());
        self.sessions.stop().await;
        (self.store, self.bus)
    }
}

pub fn user(n: u32) -> UserId {
    UserId::new(format!("u{n}")).unwrap()
}

pub fn video_id(n: u32) -> VideoId {
    VideoId::new(format!("v{n}")).unwrap()
}

pub fn video(creator: u32, category: u32) -> Video {
    let json = format!(
        r#"{{"creator": "c{creator}", "category": "k{category}", "duration_ms": 12000, "published_at": "2023-11-01T00:00:00Z"}}"#
    );
    Video::parse(json.as_bytes()).unwrap()
}

/// The `n`th event of a test.
pub fn event(n: u32, user: &UserId, video: u32, kind: &str) -> Event {
    let watch = if kind == "view" { r#", "watch_ms": 7000"# } else { "" };
    let at = Timestamp::from_millis(START_MS + i64::from(n) * 1_000).unwrap();
    let json =
        format!(r#"{{"id": "e{n}", "user": "{user}", "video": "v{video}", "kind": "{kind}", "at": "{at}"{watch}}}"#);
    Event::parse(json.as_bytes(), Timestamp::now(), || EventId::new("none").unwrap()).unwrap()
}
