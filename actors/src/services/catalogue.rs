//! The one writer of the catalogue: makes videos durable, then visible, then tells who listens.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use foryou_schemas::{Status, Timestamp, Video, VideoId};
use tokio::{sync::oneshot, time::Instant};

use super::{
    queue::{Receiver, Sender, bounded},
    supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use crate::{
    catalogue::{Catalogue, VideoIndex},
    complaint::Complaint,
    live::Live,
    ports::{
        catalogue::{CatalogueChange, CatalogueFeed},
        store::{FeatureStore, StoreError},
    },
};

/// How the catalogue is kept.
#[derive(Debug, Clone, Copy)]
pub struct CatalogueSettings {
    /// The most requests that wait.
    pub queue: usize,
    /// The most videos that are written together.
    pub max_batch: usize,
}

impl Default for CatalogueSettings {
    fn default() -> Self {
        Self { queue: 64, max_batch: 4_096 }
    }
}

/// Why the catalogue did not change.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogueError {
    /// The store did not take it.
    #[error("the catalogue cannot be changed now: {0}")]
    Store(Arc<str>),
    /// The service failed over it, or is stopped.
    #[error("the catalogue service did not answer; try again")]
    Gone,
}

/// A video that was added, replaced or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoChange {
    /// Which.
    pub video: VideoIndex,
    /// Whether it was unknown before.
    pub is_new: bool,
    /// Whether it may be shown now.
    pub live: bool,
}

/// Hears of changes of the catalogue, one batch after the other. The writer waits for it, so it hands work over quickly.
#[async_trait]
pub trait CatalogueListener: Send + Sync + 'static {
    /// `catalogue` holds the changes already, and is what everybody sees.
    async fn videos_changed(&self, catalogue: &Arc<Catalogue>, changes: &[VideoChange]);
}

/// Reads all videos of the store into `live`. Returns how many there are. To be called once, before the service starts.
pub async fn load(store: &dyn FeatureStore, live: &Live) -> Result<usize, StoreError> {
    let mut catalogue = Catalogue::clone(&live.catalogue());
    let now = Timestamp::now();
    store
        .scan_videos(&mut |(id, video)| {
            catalogue.put(&id, video, now);
            Ok(())
        })
        .await?;
    let count = catalogue.len();
    live.publish_catalogue(catalogue);
    Ok(count)
}

/// The handle of the catalogue's writer.
#[derive(Clone)]
pub struct CatalogueWriter {
    requests: Sender<Request>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    heard: AtomicU64,
    refused: AtomicU64,
    /// Of what is refused.
    complaint: Complaint,
}

struct Request {
    change: Change,
    reply: oneshot::Sender<Result<Vec<VideoChange>, CatalogueError>>,
}

enum Change {
    Put(Vec<(VideoId, Video)>, From),
    Remove(VideoId),
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// This node: it is stored, and the others are told.
    Here,
    /// A producer elsewhere, whom every node hears: it is stored.
    Outside,
    /// Another node, which has stored it.
    Node,
}

impl CatalogueWriter {
    /// The handle, and the service to be supervised.
    pub fn new(
        settings: CatalogueSettings,
        store: Arc<dyn FeatureStore>,
        live: Arc<Live>,
        listeners: Vec<Arc<dyn CatalogueListener>>,
        feed: Option<Arc<dyn CatalogueFeed>>,
    ) -> (Self, ServiceSpec) {
        let (requests, receiver) = bounded(settings.queue);
        let gauge = requests.gauge();
        let listeners: Arc<[Arc<dyn CatalogueListener>]> = listeners.into();
        let spec = ServiceSpec::new("catalogue", move || Writer {
            settings,
            store: store.clone(),
            live: live.clone(),
            requests: receiver.clone(),
            listeners: listeners.clone(),
            feed: feed.clone(),
            complaint: Complaint::default(),
        });
        (Self { requests, counters: Arc::default() }, spec.queue("requests", gauge))
    }

    /// Adds or replaces videos. Durable and visible when this returns: for each its number and whether it is new.
    pub async fn put_videos(&self, videos: Vec<(VideoId, Video)>) -> Result<Vec<(VideoIndex, bool)>, CatalogueError> {
        let changes = self.ask(Change::Put(videos, From::Here)).await?;
        Ok(changes.into_iter().map(|change| (change.video, change.is_new)).collect())
    }

    /// Takes a video down. Returns whether the catalogue knows it.
    pub async fn remove(&self, video: VideoId) -> Result<bool, CatalogueError> {
        Ok(!self.ask(Change::Remove(video)).await?.is_empty())
    }

    /// Takes in a message of the catalogue feed. Visible, and stored by somebody, when this returns; what is not acceptable is left
    /// out, logged and counted.
    pub async fn hear(&self, change: &CatalogueChange) -> Result<(), CatalogueError> {
        let from = if change.origin.is_some() { From::Node } else { From::Outside };
        let mut videos = Vec::new();
        for parsed in Video::parse_one_or_more(&change.payload) {
            match parsed {
                Ok(video) => videos.push(video),
                Err(error) => {
                    self.counters.refused.fetch_add(1, Relaxed);
                    if let Some(left_out) = self.counters.complaint.failed() {
                        let position = change.position;
                        tracing::warn!(position, %error, left_out, "a change of the catalogue was refused");
                    }
                }
            }
        }
        self.counters.heard.fetch_add(videos.len() as u64, Relaxed);
        if !videos.is_empty() {
            self.ask(Change::Put(videos, from)).await?;
        }
        Ok(())
    }

    /// Videos that came with the catalogue feed, and those of them that were refused.
    pub fn heard(&self) -> (u64, u64) {
        (self.counters.heard.load(Relaxed), self.counters.refused.load(Relaxed))
    }

    async fn ask(&self, change: Change) -> Result<Vec<VideoChange>, CatalogueError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { change, reply }).await.map_err(|_| CatalogueError::Gone)?;
        answer.await.map_err(|_| CatalogueError::Gone)?
    }
}

struct Writer {
    settings: CatalogueSettings,
    store: Arc<dyn FeatureStore>,
    live: Arc<Live>,
    requests: Receiver<Request>,
    listeners: Arc<[Arc<dyn CatalogueListener>]>,
    /// How the other nodes hear of it.
    feed: Option<Arc<dyn CatalogueFeed>>,
    complaint: Complaint,
}

#[async_trait]
impl Service for Writer {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while let Some(first) = self.requests.next(&context.stop).await {
            let mut requests = vec![first];
            let mut size = requests[0].change.len();
            while size < self.settings.max_batch
                && let Some(request) = self.requests.try_next().await
            {
                size += request.change.len();
                requests.push(request);
            }
            let started = Instant::now();
            self.change(requests, &context).await;
            context.probe.handled(size as u64, started.elapsed());
        }
        Ok(())
    }
}

impl Change {
    fn len(&self) -> usize {
        match self {
            Self::Put(videos, _) => videos.len(),
            Self::Remove(_) => 1,
        }
    }
}

impl Writer {
    async fn change(&self, mut requests: Vec<Request>, context: &Context) {
        let now = Timestamp::now();
        let rows = rows(&mut requests, &self.live.catalogue(), now);
        if let Err(error) = self.write(rows).await {
            if let Some(left_out) = self.complaint.failed() {
                tracing::warn!(%error, left_out, "the catalogue could not be written");
            }
            context.probe.note_error(&error);
            let error = CatalogueError::Store(error.into());
            for request in requests {
                let _gave_up = request.reply.send(Err(error.clone()));
            }
            return;
        }
        let mut catalogue = Catalogue::clone(&self.live.catalogue());
        let mut changed = Vec::new();
        let mut answers = Vec::with_capacity(requests.len());
        for Request { change, reply } in requests {
            let from = changed.len();
            match change {
                Change::Put(videos, _) => {
                    changed.extend(videos.into_iter().map(|(id, video)| put(&mut catalogue, &id, video, now)));
                }
                Change::Remove(id) => {
                    if let Some(video) = catalogue.find(&id) {
                        catalogue.remove(video);
                        changed.push(VideoChange { video, is_new: false, live: false });
                    }
                }
            }
            answers.push((reply, from..changed.len()));
        }
        self.live.publish_catalogue(catalogue);
        for (reply, range) in answers {
            let _gave_up = reply.send(Ok(changed[range].to_vec()));
        }
        let catalogue = self.live.catalogue_full();
        for listener in self.listeners.iter() {
            listener.videos_changed(&catalogue, &changed).await;
        }
    }

    /// Makes rows durable, and known to the other nodes where they are not. Done again, it changes nothing.
    async fn write(&self, rows: HashMap<VideoId, (Video, From)>) -> Result<(), String> {
        let (mut to_store, mut to_tell) = (Vec::new(), Vec::new());
        for (id, (video, from)) in rows {
            if from == From::Here && self.feed.is_some() {
                to_tell.push((id.clone(), video.clone()));
            }
            if from != From::Node {
                to_store.push((id, video));
            }
        }
        if !to_store.is_empty() {
            self.store.put_videos(&to_store).await.map_err(|error| error.to_string())?;
        }
        match &self.feed {
            Some(feed) if !to_tell.is_empty() => feed.announce(&to_tell).await.map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }
}

/// What requests make of each video, as it is to be stored. Fills in publication times that were not given, so that a restart
/// reads the same.
fn rows(requests: &mut [Request], catalogue: &Catalogue, now: Timestamp) -> HashMap<VideoId, (Video, From)> {
    let mut rows: HashMap<VideoId, (Video, From)> = HashMap::new();
    let stored = |id: &VideoId| catalogue.find(id).and_then(|video| catalogue.video(video));
    for request in requests {
        match &mut request.change {
            Change::Put(videos, from) => {
                for (id, video) in videos {
                    let before = rows.get(id).map(|(video, _)| video).or(stored(id).map(Arc::as_ref));
                    video.published_at = video.published_at.or(before.and_then(|v| v.published_at)).or(Some(now));
                    rows.insert(id.clone(), (video.clone(), *from));
                }
            }
            Change::Remove(id) => {
                let before = rows.get(id).map(|(video, _)| video).or(stored(id).map(Arc::as_ref));
                if let Some(video) = before {
                    rows.insert(id.clone(), (Video { status: Status::Removed, ..video.clone() }, From::Here));
                }
            }
        }
    }
    rows
}

fn put(catalogue: &mut Catalogue, id: &VideoId, video: Video, now: Timestamp) -> VideoChange {
    let live = video.status == Status::Live;
    let (video, is_new) = catalogue.put(id, video, now);
    VideoChange { video, is_new, live }
}
