//! A release made ready for this node's catalogue, and the holder that is swapped while requests go on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use async_trait::async_trait;
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::Live,
    services::catalogue::{CatalogueListener, VideoChange},
    sessions::state::SessionState,
};
use foryou_index::{DEFAULT_EF, Hit, Index, IndexConfig, IndexStats};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Loading, ModelError, Release, TrainedItems, VectorTable, kept_index, prior};
use crate::features::{ItemVectors as _, dot, towers};

/// How many neighbours of a video are kept, and of how many videos.
pub const NEIGHBOURS: usize = 60;
const MAX_NEIGHBOUR_LISTS: usize = 200_000;

/// The release that answers requests; none before the first one is there.
///
/// Give it to the catalogue's writer as a listener: the index keeper hears of changes through it.
#[derive(Default)]
pub struct Models {
    current: ArcSwapOption<Serving>,
    touched: Notify,
}

impl Models {
    /// The release to use for one request. It lives until the last request that holds it ends.
    pub fn current(&self) -> Option<Arc<Serving>> {
        self.current.load_full()
    }

    /// Swaps. Requests that began before go on with what they have.
    pub fn swap(&self, serving: Option<Arc<Serving>>) {
        self.current.store(serving);
        // What the catalogue learned while the release was made ready.
        self.touched.notify_one();
    }

    /// Waits until the catalogue changed or another release serves. For the one index keeper.
    pub(super) async fn touched(&self) {
        self.touched.notified().await;
    }
}

#[async_trait]
impl CatalogueListener for Models {
    async fn videos_changed(&self, _catalogue: &Arc<Catalogue>, _changes: &[VideoChange]) {
        self.touched.notify_one();
    }
}

/// A release with the vectors of every video of the catalogue and the index over the live ones.
pub struct Serving {
    /// The models.
    pub release: Release,
    dir: PathBuf,
    index: Index,
    vectors: ArcSwap<VectorTable>,
    /// Own-id buckets of trained videos, and how often each was met in training, by dense number.
    buckets: Vec<i64>,
    overall: Vec<f32>,
    neighbours: papaya::HashMap<VideoIndex, Arc<[VideoIndex]>>,
    /// The catalogue that index and vectors agree with; locked by whoever brings them up to date.
    synced: Mutex<Catalogue>,
}

impl Serving {
    /// Loads the release in `dir` and fills vectors, index and priors for what `live` knows. `now_s` (seconds since 1970)
    /// dates the priors.
    ///
    /// Takes seconds with a large catalogue; not for an async thread.
    pub fn load(dir: &Path, how: impl Into<Loading>, live: &Live, now_s: f64) -> Result<Self, ModelError> {
        let (release, items) = Release::load(dir, how)?;
        let catalogue = live.catalogue_full();
        let mut buckets = vec![0; catalogue.len()];
        let mut overall = vec![0.0; catalogue.len()];
        let mut table = VectorTable::new(items.vector_len);
        let mut numbers = vec![None; items.ids.len()];
        for (n, id) in items.ids.iter().enumerate() {
            if let Some(video) = catalogue.find(id) {
                let at = video as usize;
                (buckets[at], overall[at], numbers[n]) = (towers::own_bucket(n), items.overall[n], Some(video));
                table.set(video, items.vector(n));
            }
        }
        let index = index_of(dir, &items, &numbers, &catalogue)?;
        let serving = Self {
            release,
            dir: dir.to_owned(),
            index,
            vectors: ArcSwap::from_pointee(table),
            buckets,
            overall,
            neighbours: papaya::HashMap::new(),
            synced: Mutex::new(Catalogue::default()),
        };
        serving.sync(&catalogue)?;
        serving.refresh_priors(live, now_s)?;
        Ok(serving)
    }

    /// Item vectors by dense number, without prior.
    pub fn vectors(&self) -> Guard<Arc<VectorTable>> {
        self.vectors.load()
    }

    /// A person's vector (`[u, 1]`) as of `now_s` (seconds since 1970).
    pub fn user_vector(
        &self,
        session: &SessionState,
        catalogue: &Catalogue,
        now_s: f64,
    ) -> Result<Vec<f32>, ModelError> {
        let vectors = self.vectors.load();
        let duration_ms = |video| catalogue.entry(video).map_or(0, |e| e.duration_ms);
        self.release.user_vector(&towers::user(session, &**vectors, &duration_ms, now_s))
    }

    /// The best `k` live videos for a user vector among those that pass `filter`, best first; the score includes the prior.
    pub fn retrieve(
        &self,
        user_vector: &[f32],
        k: usize,
        filter: impl Fn(VideoIndex) -> bool,
    ) -> Result<Vec<Hit>, ModelError> {
        Ok(self.index.search(user_vector, k, DEFAULT_EF.max(k), filter)?)
    }

    /// The best `k` live videos by likeness to `video`, best first; nothing where it is unknown.
    pub fn similar(&self, video: VideoIndex, k: usize, filter: impl Fn(VideoIndex) -> bool) -> Vec<Hit> {
        self.index.similar(video, k, DEFAULT_EF.max(k), filter).unwrap_or_default()
    }

    /// How well a video goes with a user vector: what [`retrieve`](Self::retrieve) orders by.
    pub fn score(&self, user_vector: &[f32], video: VideoIndex) -> Option<f32> {
        Some(dot(user_vector, self.vectors.load().vector(video)?) + self.index.prior(video))
    }

    /// How like two videos are: what [`similar`](Self::similar) orders by.
    pub fn likeness(&self, a: VideoIndex, b: VideoIndex) -> Option<f32> {
        let vectors = self.vectors.load();
        Some(dot(vectors.vector(a)?, vectors.vector(b)?))
    }

    /// The nearest 60 live videos of a video, nearest first: searched once per release and kept.
    pub fn neighbours(&self, video: VideoIndex) -> Arc<[VideoIndex]> {
        let kept = self.neighbours.pin();
        if let Some(list) = kept.get(&video) {
            return list.clone();
        }
        if kept.len() >= MAX_NEIGHBOUR_LISTS {
            kept.clear();
        }
        let list: Arc<[_]> = self.similar(video, NEIGHBOURS, |_| true).into_iter().map(|hit| hit.item).collect();
        kept.insert(video, list.clone());
        list
    }

    /// A video's recency prior.
    pub fn prior(&self, video: VideoIndex) -> f32 {
        self.index.prior(video)
    }

    /// What the index holds.
    pub fn index_stats(&self) -> IndexStats {
        self.index.stats()
    }

    /// Brings vectors and index up to date with a later catalogue; returns how many videos were new or changed.
    pub fn sync(&self, catalogue: &Catalogue) -> Result<usize, ModelError> {
        let mut synced = self.synced.lock();
        let changed: Vec<VideoIndex> = catalogue.changed_since(&synced).collect();
        let mut table = VectorTable::clone(&self.vectors.load());
        // The first time, the trained videos' vectors are there already, from the release's file.
        let first = synced.is_empty();
        let stale = |video: &&VideoIndex| !(first && table.vector(**video).is_some());
        let stale: Vec<VideoIndex> = changed.iter().filter(stale).copied().collect();
        let videos = stale.iter().filter_map(|&v| catalogue.video(v).map(|video| (&**video, self.bucket(v))));
        let rows = self.release.item_vectors(&videos.collect::<Vec<_>>())?;
        let rows: Vec<_> = stale.iter().copied().zip(rows.chunks_exact(self.release.manifest.vector_len)).collect();
        rows.iter().for_each(|(video, row)| table.set(*video, row));
        let is_live = |video: VideoIndex| catalogue.entry(video).is_some_and(|e| e.live);
        self.index.upsert_all(rows.into_iter().filter(|(video, _)| is_live(*video)))?;
        for video in changed.iter().filter(|v| !is_live(**v)) {
            self.index.remove(*video);
        }
        self.vectors.store(Arc::new(table));
        *synced = catalogue.clone();
        Ok(changed.len())
    }

    /// Recomputes all recency priors as of `now_s` (seconds since 1970).
    pub fn refresh_priors(&self, live: &Live, now_s: f64) -> Result<(), ModelError> {
        let videos = live.catalogue().len();
        Ok(self.index.set_priors(prior::priors(&live.statistics, &self.overall, videos, now_s))?)
    }

    /// Whether so much was added to the exact segment that a new graph pays.
    pub fn wants_rebuild(&self) -> bool {
        let stats = self.index.stats();
        stats.wants_rebuild && !stats.rebuilding
    }

    /// Builds a new graph over everything, swaps it in, and keeps it for the next start. Heavy: not for an async thread.
    pub fn rebuild(&self) -> Result<(), ModelError> {
        self.index.rebuild()?;
        // A video that is added meanwhile is left out, and scanned after the next start.
        let catalogue = self.synced.lock().clone();
        if let Err(error) = kept_index::keep(&self.dir, &self.index, &catalogue) {
            tracing::warn!(%error, "the index could not be kept: the next start builds its graph again");
        }
        Ok(())
    }

    fn bucket(&self, video: VideoIndex) -> i64 {
        self.buckets.get(video as usize).copied().unwrap_or(0)
    }
}

/// The index over the trained videos, and over more where this node kept one; the rest of the catalogue is for `sync`. It
/// builds no graph: until the index keeper has, videos without one are scanned.
fn index_of(
    dir: &Path,
    items: &TrainedItems,
    numbers: &[Option<VideoIndex>],
    catalogue: &Catalogue,
) -> Result<Index, ModelError> {
    let config = IndexConfig::new(items.vector_len);
    let live = |video: &VideoIndex| catalogue.entry(*video).is_some_and(|e| e.live);
    let kept = kept_index::find(dir, config.clone(), |id| catalogue.find_str(id).filter(live));
    let kept = kept.unwrap_or_else(|error| {
        tracing::warn!(%error, "the index that this node kept cannot be used, and is built anew");
        None
    });
    let index = match kept {
        Some(index) => index,
        None => Index::load_renumbered(&dir.join("index.bin"), config, |n| {
            numbers.get(n as usize).copied().flatten().filter(live)
        })?,
    };
    let numbered = numbers.iter().enumerate().filter_map(|(n, number)| Some((n, number.filter(live)?)));
    index.upsert_all(numbered.map(|(n, video)| (video, items.vector(n))))?;
    Ok(index)
}
