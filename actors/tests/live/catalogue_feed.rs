use std::sync::Arc;

use async_trait::async_trait;
use foryou_actors::{
    live::Live,
    ports::{
        bus::BusError,
        catalogue::{CatalogueChange, CatalogueChanges, CatalogueFeed},
        store::FeatureStore,
    },
    services::{
        catalogue::{CatalogueSettings, CatalogueWriter},
        catalogue_feed,
        supervisor::{RestartPolicy, Supervisor},
    },
};
use foryou_schemas::{Video, VideoId};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    memory::MemoryStore,
    rig::{DEADLINE, video, video_id},
};

type Message = (Option<Box<str>>, Vec<u8>);

/// A feed in memory, for any number of nodes.
struct MemoryFeed {
    log: Mutex<Vec<Message>>,
    len: watch::Sender<usize>,
}

impl MemoryFeed {
    fn add(&self, origin: Option<&str>, payload: Vec<u8>) {
        let mut log = self.log.lock();
        log.push((origin.map(Into::into), payload));
        self.len.send_replace(log.len());
    }
}

/// The feed as one node has it.
struct Side(Arc<MemoryFeed>, &'static str);

#[async_trait]
impl CatalogueFeed for Side {
    async fn announce(&self, videos: &[(VideoId, Video)]) -> Result<(), BusError> {
        for (id, video) in videos {
            let mut json = serde_json::to_value(video).unwrap();
            json["id"] = id.as_str().into();
            self.0.add(Some(self.1), json.to_string().into_bytes());
        }
        Ok(())
    }

    async fn follow(&self, after: Option<u64>) -> Result<Box<dyn CatalogueChanges>, BusError> {
        Ok(Box::new(Reader(self.0.clone(), after.map_or(0, |after| after as usize + 1))))
    }
}

struct Reader(Arc<MemoryFeed>, usize);

#[async_trait]
impl CatalogueChanges for Reader {
    async fn next(&mut self) -> Result<Vec<CatalogueChange>, BusError> {
        let mut len = self.0.len.subscribe();
        len.wait_for(|len| *len > self.1).await.unwrap();
        let (origin, payload) = self.0.log.lock()[self.1].clone();
        self.1 += 1;
        Ok(vec![CatalogueChange { position: self.1 as u64 - 1, origin, payload }])
    }
}

struct Node {
    store: Arc<MemoryStore>,
    live: Arc<Live>,
    catalogue: CatalogueWriter,
    supervisor: Supervisor,
}

async fn node(feed: &Arc<MemoryFeed>, name: &'static str) -> Node {
    let (store, live) = (MemoryStore::new(), Arc::new(Live::default()));
    let side: Arc<dyn CatalogueFeed> = Arc::new(Side(feed.clone(), name));
    let settings = CatalogueSettings::default();
    let (catalogue, writing) =
        CatalogueWriter::new(settings, store.clone(), live.clone(), Vec::new(), Some(side.clone()));
    let following = catalogue_feed::service(side, catalogue.clone(), None, name);
    let supervisor = Supervisor::start(RestartPolicy::default(), vec![writing, following]).await.unwrap();
    Node { store, live, catalogue, supervisor }
}

impl Node {
    async fn knows(&self, id: &VideoId) {
        let known = async {
            while self.live.catalogue().find(id).is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, known).await.expect("the video comes with the feed");
    }

    async fn stored(&self) -> Vec<VideoId> {
        let mut ids = Vec::new();
        let mut visit = |(id, _)| {
            ids.push(id);
            Ok(())
        };
        self.store.scan_videos(&mut visit).await.unwrap();
        ids.sort();
        ids
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_hears_of_every_change_and_somebody_stores_it() {
    let feed = Arc::new(MemoryFeed { log: Mutex::default(), len: watch::Sender::new(0) });
    let (a, b) = (node(&feed, "a").await, node(&feed, "b").await);
    a.catalogue.put_videos(vec![(video_id(1), video(1, 1))]).await.unwrap();
    b.knows(&video_id(1)).await;
    assert_eq!((a.stored().await, b.stored().await), (vec![video_id(1)], vec![]), "who changes it stores it");
    // A producer elsewhere: one of two is not acceptable.
    let outside = br#"{"videos": [{"id": "v2", "creator": "c", "category": "k"},
        {"id": "v3", "creator": "c", "category": "k", "duration_ms": 9000}]}"#;
    feed.add(None, outside.to_vec());
    feed.add(None, b"not json".to_vec());
    b.catalogue.remove(video_id(1)).await.unwrap();
    for node in [&a, &b] {
        node.knows(&video_id(3)).await;
        assert!(node.stored().await.contains(&video_id(3)));
        let gone = async {
            let shown = || {
                let catalogue = node.live.catalogue();
                catalogue.find(&video_id(1)).is_some_and(|n| catalogue.entry(n).is_some_and(|entry| entry.live))
            };
            while shown() || node.catalogue.heard().1 < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, gone).await.expect("a removal comes with the feed");
        assert!(node.live.catalogue().find(&video_id(2)).is_none());
    }
    for node in [a, b] {
        assert!(node.supervisor.stop(DEADLINE).await.is_empty());
    }
}
