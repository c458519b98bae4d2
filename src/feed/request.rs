//! What every stage of one feed may read: a consistent view of the person, the catalogue, the models and the trends.

use std::{collections::HashSet, sync::Arc, time::Instant};

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::Live,
    sessions::state::SessionState,
};
use foryou_schemas::{Country, Timestamp};

use super::{mood::Mood, trends::Trends};
use crate::{config::Feed as FeedSettings, models::Serving};

/// One feed to be made. Everything in it is a snapshot, but for the statistics behind `live`, which are read once, at the
/// feature stage.
pub struct Request {
    /// The person.
    pub session: Arc<SessionState>,
    /// The videos.
    pub catalogue: Arc<Catalogue>,
    /// The node's statistics and surfaces.
    pub live: Arc<Live>,
    /// The models; `None` while there are none.
    pub release: Option<Arc<Serving>>,
    /// The person's vector (`[u, 1]`) by these models.
    pub user_vector: Option<Vec<f32>>,
    /// What is popular.
    pub trends: Arc<Trends>,
    /// The time of the request.
    pub now: Timestamp,
    /// Dense number of the surface that asks.
    pub surface: u16,
    /// Where the person is: as asked, else by profile.
    pub country: Option<Country>,
    /// What the last actions speak for and against.
    pub mood: Mood,
    /// What the client has and has not shown yet, in its order.
    pub at_hand: Vec<VideoIndex>,
    /// How many items are wanted.
    pub limit: usize,
    /// Seeds exploration.
    pub seed: u64,
    /// Whether exploration slots are allowed.
    pub explore: bool,
    /// The video whose fate is to be told.
    pub watched: Option<VideoIndex>,
    /// As configured.
    pub settings: Arc<FeedSettings>,
    /// When the whole feed is due.
    pub deadline: Instant,
    seen: Bitmap,
    blocked: HashSet<u32>,
}

/// What a request is made from.
#[expect(missing_docs, reason = "the fields of Request, which say it")]
pub struct Parts {
    pub session: Arc<SessionState>,
    pub live: Arc<Live>,
    pub release: Option<Arc<Serving>>,
    pub trends: Arc<Trends>,
    pub now: Timestamp,
    pub surface: u16,
    pub country: Option<Country>,
    pub at_hand: Vec<VideoIndex>,
    pub limit: usize,
    pub seed: u64,
    pub explore: bool,
    pub watched: Option<VideoIndex>,
    pub settings: Arc<FeedSettings>,
}

impl Request {
    /// Takes the snapshots and starts the clock.
    pub fn new(parts: Parts) -> Self {
        let Parts { session, live, release, trends, now, surface, country, at_hand, .. } = parts;
        let Parts { limit, seed, explore, watched, settings, .. } = parts;
        let catalogue = live.catalogue_full();
        let window_s = f64::from(settings.seen_window_days.get()) * 86_400.0;
        let mut seen = Bitmap::new(catalogue.len());
        for (video, at_s) in session.all_seen() {
            if now.seconds() - f64::from(at_s) <= window_s {
                seen.insert(video);
            }
        }
        Self {
            country: country.or(session.profile.country),
            blocked: session.blocked.iter().copied().collect(),
            deadline: Instant::now() + settings.budget_ms.millis(),
            user_vector: None,
            mood: Mood::of(&session, &catalogue, now.seconds()),
            session,
            catalogue,
            live,
            release,
            trends,
            now,
            surface,
            at_hand,
            limit,
            seed,
            explore,
            watched,
            settings,
            seen,
        }
    }

    /// Whether the person saw the video within the window.
    #[inline]
    pub fn seen(&self, video: VideoIndex) -> bool {
        self.seen.contains(video)
    }

    /// Whether the person blocked the creator.
    #[inline]
    pub fn blocked(&self, creator: u32) -> bool {
        !self.blocked.is_empty() && self.blocked.contains(&creator)
    }

    /// What every source may drop at once: seen and removed videos. The filters decide on the rest.
    #[inline]
    pub fn servable(&self, video: VideoIndex) -> bool {
        !self.seen(video) && self.catalogue.entry(video).is_some_and(|e| e.live)
    }

    /// Whether the feed is late.
    pub fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// A set of dense numbers.
struct Bitmap(Vec<u64>);

impl Bitmap {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }
    fn insert(&mut self, n: u32) {
        if let Some(word) = self.0.get_mut(n as usize / 64) {
            *word |= 1 << (n % 64);
        }
    }
    fn contains(&self, n: u32) -> bool {
        self.0.get(n as usize / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }
}
