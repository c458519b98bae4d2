//! What is popular, and what is new: lists that a service renews every few seconds and sources read.

use std::{collections::HashMap, str::FromStr};

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::Live,
    statistics::{Count, Decayed, Entity, WINDOWS},
};
use foryou_schemas::Timestamp;

use super::settings::ExplorationSettings;

/// How many videos each list keeps.
const TOP: usize = 500;
/// … and each country's.
const TOP_OF_COUNTRY: usize = 200;
/// Videos whose statistics are read under one lock.
const LOCKED_AT_ONCE: usize = 2_048;

/// A time window of popularity, by its half-life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// 6 hours.
    Hours6,
    /// 2 days.
    Days2,
    /// 14 days.
    Days14,
}

impl Window {
    /// Every window, shortest first.
    pub const ALL: [Self; WINDOWS] = [Self::Hours6, Self::Days2, Self::Days14];

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hours6 => "6h",
            Self::Days2 => "2d",
            Self::Days14 => "14d",
        }
    }
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|w| w.name() == text)
            .ok_or_else(|| format!("{text:?} is not a window; known are {}", known()))
    }
}

/// A list of videos, best first, each with its score.
pub type Ranking = Vec<(VideoIndex, f32)>;

/// What is popular and what is new, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Trends {
    /// By window, everywhere.
    pub everywhere: [Ranking; WINDOWS],
    /// In the 2-day window, by country.
    pub countries: HashMap<[u8; 2], Ranking>,
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
    pub fn compute(live: &Live, exploration: &ExplorationSettings, now: Timestamp) -> Self {
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
                let age_days = (now.seconds() - entry.published_at.seconds()) / 86_400.0;
                if decayed[WINDOWS - 1][Count::Impressions as usize] < exploration.below_impressions
                    && (-1.0..f64::from(exploration.max_age_days)).contains(&age_days)
                {
                    fresh.push((video, entry.published_at));
                }
            }
        }
        for (&(country, video), tally) in live.statistics.read().countries() {
            if catalogue.entry(video).is_some_and(|e| e.live) {
                let list = trends.countries.entry(country).or_default();
                list.push((video, score(&tally.at(now.seconds()), 1)));
            }
        }
        trends.everywhere.iter_mut().for_each(|list| keep_best(list, TOP));
        trends.countries.values_mut().for_each(|list| keep_best(list, TOP_OF_COUNTRY));
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

/// Sorts by score, best first, and cuts. Ties go to the newer number: with no statistics at all, new videos lead.
fn keep_best(list: &mut Ranking, keep: usize) {
    let order = |a: &(VideoIndex, f32), b: &(VideoIndex, f32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
    if list.len() > keep {
        list.select_nth_unstable_by(keep, order);
        list.truncate(keep);
    }
    list.sort_unstable_by(order);
}
