//! Feeds without a running server: the same pipeline over what is stored, for many people at once.

use std::sync::Arc;

use foryou_actors::{
    live::Live,
    ports::store::{FeatureStore, StoreError},
    services::catalogue,
    sessions::{snapshot, state::SessionState},
    tallies,
};
use foryou_schemas::{Timestamp, UserId, VideoId};

use super::{
    candidate::Candidate,
    pipeline::Pipeline,
    request::{Parts, Request},
    trends::Trends,
};
use crate::{
    config,
    models::{Releases, Serving},
};

/// Everything that a feed reads but for the person, as of one moment.
pub struct Offline {
    live: Arc<Live>,
    release: Option<Arc<Serving>>,
    trends: Arc<Trends>,
    settings: Arc<config::Feed>,
    now: Timestamp,
    limit: usize,
    source: Option<Pipeline>,
    pipeline: Pipeline,
}

/// What feeds are made of.
pub struct OfflineSettings {
    /// As configured for the server; here a feed has more time, and room for `limit`.
    pub feed: config::Feed,
    /// Videos per feed.
    pub limit: usize,
    /// Only this source of candidates, unranked.
    pub source: Option<Pipeline>,
    /// How many threads will make feeds at the same time.
    pub threads: usize,
    /// The time of the feeds.
    pub now: Timestamp,
}

impl Offline {
    /// Reads catalogue, statistics and the active release. Without a release feeds are made without models, as in the server.
    pub async fn open(
        store: &dyn FeatureStore,
        releases: &Releases,
        settings: OfflineSettings,
    ) -> anyhow::Result<Self> {
        let OfflineSettings { feed, limit, source, threads, now } = settings;
        let live = Arc::new(Live::default());
        catalogue::load(store, &live).await?;
        tallies::restore(store, &live).await?;
        let release = match releases.active()? {
            None => None,
            Some(id) => {
                let (path, live) = (releases.path(&id)?, live.clone());
                let load = move || Serving::load(&path, threads, &live, now.seconds());
                Some(Arc::new(tokio::task::spawn_blocking(load).await??))
            }
        };
        let trends = Arc::new(Trends::compute(&live, &feed.exploration, now));
        let settings = Arc::new(unhurried(feed, limit, source.is_some()));
        Ok(Self { live, release, trends, settings, now, limit, source, pipeline: Pipeline::default() })
    }

    /// The release that makes the feeds.
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref().map(|serving| serving.release.manifest.id.as_str())
    }

    /// A person's session as the store has it; an empty one for somebody unknown.
    pub async fn session(&self, store: &dyn FeatureStore, user: &UserId) -> Result<Arc<SessionState>, StoreError> {
        Ok(Arc::new(snapshot::rebuild(user, &store.session(user).await?, &self.live)?.state))
    }

    /// A person's feed without exploration, in serving order: each video with its score.
    pub async fn feed(&self, session: Arc<SessionState>) -> Vec<(VideoId, f32)> {
        let request = Request::new(Parts {
            session,
            live: self.live.clone(),
            release: self.release.clone(),
            trends: self.trends.clone(),
            now: self.now,
            surface: 0,
            country: None,
            at_hand: Vec::new(),
            limit: self.limit,
            seed: 0,
            explore: false,
            watched: None,
            settings: self.settings.clone(),
        });
        let catalogue = request.catalogue.clone();
        let items = match &self.source {
            Some(source) => source.retrieve(request).await,
            None => self.pipeline.run(request).await.1.items,
        };
        let item = |item: Candidate| Some((catalogue.id(item.video)?.clone(), item.score));
        items.into_iter().filter_map(item).collect()
    }
}

/// Nobody waits for these feeds, and they may be longer than a screen: the ranker chooses among twice as many candidates, and
/// a source that is compared with others brings as many as are asked for.
fn unhurried(mut feed: config::Feed, limit: usize, one_source: bool) -> config::Feed {
    (feed.budget_ms, feed.source_budget_ms) =
        (feed.budget_ms.at_least(usize::MAX), feed.source_budget_ms.at_least(usize::MAX));
    let candidates = &mut feed.candidates;
    candidates.ranked = candidates.ranked.at_least(2 * limit);
    candidates.two_tower = candidates.two_tower.at_least(2 * limit);
    if one_source {
        candidates.similar = candidates.similar.at_least(limit);
        candidates.trending = candidates.trending.at_least(limit);
        candidates.followed = candidates.followed.at_least(limit);
        candidates.category = candidates.category.at_least(limit);
        candidates.fresh = candidates.fresh.at_least(limit);
    }
    feed
}
