//! What is popular, and what is new: lists that a service renews every few seconds and sources read.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::Live,
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
    statistics::{Count, Decayed, Entity, WINDOWS},
};
use foryou_schemas::Timestamp;
use tokio::task::spawn_blocking;

use crate::{clock::Clock, config::Exploration};

/// How many videos each list keeps.
const TOP: usize = 500;
/// … and each country's.
const TOP_OF_COUNTRY: usize = 200;
/// … and each category's.
const TOP_OF_CATEGORY: usize = 200;
/// Videos whose statistics are read under one lock.
const LOCKED_AT_ONCE: usize = 2_048;

/// A list of videos, best first, each with its score.
pub type Ranking = Vec<(VideoIndex, f32)>;

/// What is popular and what is new, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Trends {
    /// By window, everywhere.
    pub everywhere: [Ranking; WINDOWS],
    /// By country and window.
    pub countries: HashMap<[u8; 2], [Ranking; WINDOWS]>,
    /// In the 14-day window, by category.
    pub categories: HashMap<u32, Ranking>,
    /// Videos that need a first audience, newest first.
    pub fresh: Vec<VideoIndex>,
}

/// How trending a video is: what people did with it, in one decayed window.
pub fn score(decayed: &Decayed, window: usize) -> f32 {
    let of = |count: Count| decayed[window][count as usize];
    let good = of(Count::Views) + 3.0 * of(Count::LongViews) + 5.0 * of(Count::Likes) + 8.0 * of(Count::Engagements);
    (good - of(Count::Skips) - 10.0 * of(Count::Negatives)).max(0.0)
}

impl Trends {
    /// Reads the statistics, a stretch of videos under each lock, and makes the lists.
    pub fn compute(live: &Live, exploration: &Exploration, now: Timestamp) -> Self {
        let catalogue = live.catalogue_full();
        let mut trends = Self::default();
        let mut fresh = Vec::new();
        let videos = catalogue.len() as u32;
        for start in (0..videos).step_by(LOCKED_AT_ONCE) {
            let statistics = live.statistics.read();
            for video in start..videos.min(start + LOCKED_AT_ONCE as u32) {
                let Some(entry) = catalogue.entry(video).filter(|e| e.live) else { continue };
                let decayed = statistics.tally(Entity::Video(video)).at(now.seconds());
                for (window, list) in trends.everywhere.iter_mut().enumerate() {
                    list.push((video, score(&decayed, window)));
                }
                let list = trends.categories.entry(entry.category).or_default();
                list.push((video, score(&decayed, WINDOWS - 1)));
                let age_days = (now.seconds() - entry.published_at.seconds()) / 86_400.0;
                if decayed[WINDOWS - 1][Count::Impressions as usize] < exploration.first_audience.get() as f32
                    && (-1.0..f64::from(exploration.max_age_days.get())).contains(&age_days)
                {
                    fresh.push((video, entry.published_at));
                }
            }
        }
        let countries: Vec<_> = live.statistics.read().countries().collect();
        for country in countries {
            trends.countries.insert(country, of_country(live, &catalogue, country, now));
        }
        trends.categories.values_mut().for_each(|list| keep_best(list, TOP_OF_CATEGORY));
        trends.everywhere.iter_mut().for_each(|list| keep_best(list, TOP));
        fresh.sort_unstable_by_key(|f| std::cmp::Reverse(f.1));
        trends.fresh = fresh.into_iter().take(TOP).map(|f| f.0).collect();
        trends
    }

    /// A category's videos by popularity, computed on demand.
    pub fn of_category(live: &Live, catalogue: &Catalogue, category: u32, window: usize, now: Timestamp) -> Ranking {
        let mut list = Ranking::new();
        for videos in catalogue.of_category(category).chunks(LOCKED_AT_ONCE) {
            let statistics = live.statistics.read();
            let live_ones = videos.iter().filter(|v| catalogue.entry(**v).is_some_and(|e| e.live));
            list.extend(live_ones.map(|&v| (v, score(&statistics.tally(Entity::Video(v)).at(now.seconds()), window))));
        }
        keep_best(&mut list, TOP);
        list
    }
}

/// A country's videos by popularity in each window, a stretch of them read under each lock.
fn of_country(live: &Live, catalogue: &Catalogue, country: [u8; 2], now: Timestamp) -> [Ranking; WINDOWS] {
    let mut lists: [Ranking; WINDOWS] = Default::default();
    for from in (0..).step_by(LOCKED_AT_ONCE) {
        let statistics = live.statistics.read();
        let rows = statistics.of_country(country, from, LOCKED_AT_ONCE);
        if rows.is_empty() {
            break;
        }
        for (video, tally) in rows.iter().filter(|(video, _)| catalogue.entry(*video).is_some_and(|e| e.live)) {
            let decayed = tally.at(now.seconds());
            for (window, list) in lists.iter_mut().enumerate() {
                list.push((*video, score(&decayed, window)));
            }
        }
    }
    lists.iter_mut().for_each(|list| keep_best(list, TOP_OF_COUNTRY));
    lists
}

/// The trends that requests read.
#[derive(Default)]
pub struct Popular {
    current: ArcSwap<Trends>,
}

impl Popular {
    /// The latest.
    pub fn current(&self) -> Arc<Trends> {
        self.current.load_full()
    }

    /// Declares the service that renews them every few seconds.
    pub fn spec(self: &Arc<Self>, live: Arc<Live>, exploration: Exploration, clock: Clock) -> ServiceSpec {
        let popular = self.clone();
        ServiceSpec::new("trends", move || Renewal {
            popular: popular.clone(),
            live: live.clone(),
            exploration: exploration.clone(),
            clock: clock.clone(),
        })
    }
}

/// How often trends are computed anew.
const RENEWED_EVERY: Duration = Duration::from_secs(3);

struct Renewal {
    popular: Arc<Popular>,
    live: Arc<Live>,
    exploration: Exploration,
    clock: Clock,
}

#[async_trait]
impl Service for Renewal {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        loop {
            let (live, exploration, now, began) =
                (self.live.clone(), self.exploration.clone(), self.clock.now(), Instant::now());
            let trends = spawn_blocking(move || Trends::compute(&live, &exploration, now)).await?;
            self.popular.current.store(Arc::new(trends));
            context.probe.handled(1, began.elapsed());
            context.ready();
            if !context.stop.pause(RENEWED_EVERY).await {
                return Ok(());
            }
        }
    }
}

/// Sorts by score, best first, and cuts. Ties go to the newer number: with no statistics at all, new videos lead.
fn keep_best(list: &mut Ranking, keep: usize) {
    let order = |a: &(VideoIndex, f32), b: &(VideoIndex, f32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
    if list.len() > keep {
        list.select_nth_unstable_by(keep, order);
        list.truncate(keep);
    }
    list.sort_unstable_by(order);
}
