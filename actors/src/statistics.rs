//! Decayed counts of what happens to videos, creators, categories and surfaces.
//!
//! Each count is kept for several half-lives `h` as `Σ 2^(−age/h)` over its events, at the time of the latest one, so an event
//! that arrives late enters with its own age and the sums do not depend on arrival order (but for float rounding).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

mod rates;

pub use rates::{Expected, Rate, Rates, Sums, smoothed};

use crate::{
    catalogue::{Entry, VideoIndex},
    sessions::state::{Applied, Outcomes},
};

/// Half-lives of the decayed windows, seconds: 6 hours, 2 days, 14 days.
pub const HALF_LIVES_S: [f64; WINDOWS] = [6.0 * 3600.0, 2.0 * 86_400.0, 14.0 * 86_400.0];
/// How many windows each count has.
pub const WINDOWS: usize = 3;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Count {
    Impressions,
    Views,
    LongViews,
    Finishes,
    Likes,
    /// Comments, shares and follows.
    Engagements,
    Skips,
    /// Dislikes, reports and blocks.
    Negatives,
    /// Sum of watch ratios, each at most [`MAX_WATCH_RATIO`].
    WatchRatio,
    /// Sum, over impressions, of the long-view rate that the video alone made one expect ([`Expected::video`]).
    ExpectedLongViews,
}

/// How many [`Count`]s there are.
pub const COUNTS: usize = 10;
/// The first of them are numbers of outcomes.
const COUNTED_OUTCOMES: usize = 8;
/// Where one view's watch ratio is cut off.
pub const MAX_WATCH_RATIO: f32 = 2.0;

/// The outcomes behind the first counts.
const COUNTED: [(Count, Outcomes); COUNTED_OUTCOMES] = [
    (Count::Impressions, Outcomes::OPENED),
    (Count::Views, Outcomes::VIEW),
    (Count::LongViews, Outcomes::LONG_VIEW),
    (Count::Finishes, Outcomes::FINISH),
    (Count::Likes, Outcomes::LIKE),
    (Count::Engagements, Outcomes::COMMENT.with(Outcomes::SHARE).with(Outcomes::FOLLOW)),
    (Count::Skips, Outcomes::SKIP),
    (Count::Negatives, Outcomes::DISLIKE.with(Outcomes::REPORT).with(Outcomes::BLOCK)),
];

/// Decayed sums of one entity at one instant: `[window][count]`.
pub type Decayed = [[f32; COUNTS]; WINDOWS];

/// The counts of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Seconds since 1970 to which `decayed` refers.
    at_s: f64,
    decayed: Decayed,
    /// Numbers of outcomes since the beginning, undecayed.
    totals: [u32; COUNTED_OUTCOMES],
}

impl Tally {
    /// The sums as of `now_s` (seconds since 1970). A `now_s` before the latest event gives them as of that event.
    #[inline]
    pub fn at(&self, now_s: f64) -> Decayed {
        let mut out = self.decayed;
        decay(&mut out, now_s - self.at_s);
        out
    }

    /// How often it happened since the beginning; 0 for the two sums, which are only kept decayed.
    pub fn total(&self, count: Count) -> u32 {
        self.totals.get(count as usize).copied().unwrap_or(0)
    }

    /// The sum of two, as of the later one's latest event.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (mut sum, mut other) = if self.at_s >= other.at_s { (*self, *other) } else { (*other, *self) };
        // A tally of nothing has no time of its own.
        decay(&mut other.decayed, sum.at_s - other.at_s);
        for (window, others) in sum.decayed.iter_mut().zip(&other.decayed) {
            window.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
        sum.totals.iter_mut().zip(&other.totals).for_each(|(sum, other)| *sum = sum.saturating_add(*other));
        sum
    }

    fn add(&mut self, at_s: f64, increments: &[f32; COUNTS]) {
        if at_s > self.at_s {
            decay(&mut self.decayed, at_s - self.at_s);
            self.at_s = at_s;
        }
        let age = self.at_s - at_s;
        for (window, half_life) in self.decayed.iter_mut().zip(HALF_LIVES_S) {
            let weight = if age > 0.0 { (-age / half_life).exp2() as f32 } else { 1.0 };
            for (sum, increment) in window.iter_mut().zip(increments) {
                *sum = (*sum + weight * increment).max(0.0);
            }
        }
        for (total, increment) in self.totals.iter_mut().zip(increments) {
            *total = total.saturating_add_signed(*increment as i32);
        }
    }
}

#[inline]
fn decay(sums: &mut Decayed, elapsed_s: f64) {
    if elapsed_s <= 0.0 {
        return;
    }
    for (window, half_life) in sums.iter_mut().zip(HALF_LIVES_S) {
        let factor = (-elapsed_s / half_life).exp2() as f32;
        window.iter_mut().for_each(|sum| *sum *= factor);
    }
}

/// Whose counts: the key under which a store keeps a [`Tally`], by public names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TallyKey {
    /// Everything together.
    All,
    /// A video's id.
    Video(Box<str>),
    /// A creator's id.
    Creator(Box<str>),
    /// A category.
    Category(Box<str>),
    /// A surface.
    Surface(Box<str>),
    /// A country and a video seen from it.
    Country(Box<str>, Box<str>),
    /// A band of lengths.
    Band(u8),
    /// A surface and a band of lengths.
    SurfaceBand(Box<str>, u8),
}

/// An entity by dense number, as [`Statistics`] knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// Everything together.
    All,
    /// A video.
    Video(VideoIndex),
    /// A creator.
    Creator(u32),
    /// A category.
    Category(u32),
    /// A surface.
    Surface(u16),
    /// A video as seen from a country.
    Country([u8; 2], VideoIndex),
    /// A band of lengths, see [`band`].
    Band(u8),
    /// A band of lengths on a surface.
    SurfaceBand(u16, u8),
}

/// Bounds between the bands of lengths, seconds.
const BANDS_S: [u32; BANDS - 1] = [7, 10, 14, 18, 25, 40, 60, 100, 180];
/// How many bands of lengths there are.
pub const BANDS: usize = 10;

/// The band of a length.
pub fn band(duration_ms: u32) -> u8 {
    BANDS_S.partition_point(|bound| bound * 1_000 <= duration_ms) as u8
}

/// The videos that were met from one country, in the order of their first event, so that they can be read in stretches.
#[derive(Debug, Clone, Default)]
struct Country {
    places: HashMap<VideoIndex, u32>,
    rows: Vec<(VideoIndex, Tally)>,
}

impl Country {
    fn tally(&self, video: VideoIndex) -> Option<&Tally> {
        self.rows.get(*self.places.get(&video)? as usize).map(|(_, tally)| tally)
    }

    fn tally_mut(&mut self, video: VideoIndex) -> &mut Tally {
        let place = *self.places.entry(video).or_insert(self.rows.len() as u32) as usize;
        if place == self.rows.len() {
            self.rows.push((video, Tally::default()));
        }
        &mut self.rows[place].1
    }
}

/// All tallies. One writer folds events into it in the order of their application.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    all: Tally,
    videos: Vec<Tally>,
    creators: Vec<Tally>,
    categories: Vec<Tally>,
    surfaces: Vec<Tally>,
    bands: Vec<Tally>,
    surface_bands: Vec<Tally>,
    countries: HashMap<[u8; 2], Country>,
    /// How many events were folded in: the order number of the latest.
    order: u64,
}

impl Statistics {
    /// Folds one applied event in, and names the entities it changed. `country` is the person's.
    pub fn apply(&mut self, order: u64, applied: &Applied, entry: &Entry, country: Option<[u8; 2]>) -> Vec<Entity> {
        self.order = order;
        let increments = increments(applied, entry.duration_ms);
        if increments.iter().all(|i| *i == 0.0) {
            return Vec::new();
        }
        let mut changed = vec![
            Entity::All,
            Entity::Video(applied.video),
            Entity::Creator(entry.creator),
            Entity::Category(entry.category),
            Entity::Surface(applied.surface),
            Entity::Band(band(entry.duration_ms)),
            Entity::SurfaceBand(applied.surface, band(entry.duration_ms)),
        ];
        changed.extend(country.map(|c| Entity::Country(c, applied.video)));
        for entity in &changed {
            self.tally_mut(*entity).add(applied.at_s, &increments);
        }
        changed
    }

    /// The tally of an entity; a fresh one when nothing happened to it yet.
    #[inline]
    pub fn tally(&self, entity: Entity) -> Tally {
        self.find(entity).copied().unwrap_or_default()
    }

    /// The tally of an entity where it stands, if anything happened to it or to a later one.
    #[inline]
    pub fn find(&self, entity: Entity) -> Option<&Tally> {
        match entity {
            Entity::All => Some(&self.all),
            Entity::Video(n) => self.videos.get(n as usize),
            Entity::Creator(n) => self.creators.get(n as usize),
            Entity::Category(n) => self.categories.get(n as usize),
            Entity::Surface(n) => self.surfaces.get(n as usize),
            Entity::Country(c, n) => self.countries.get(&c).and_then(|country| country.tally(n)),
            Entity::Band(n) => self.bands.get(n as usize),
            Entity::SurfaceBand(s, n) => self.surface_bands.get(surface_band(s, n)),
        }
    }

    /// Sets a tally as read from the store.
    pub fn restore(&mut self, entity: Entity, tally: Tally) {
        *self.tally_mut(entity) = tally;
    }

    /// Every country that an event came from.
    pub fn countries(&self) -> impl Iterator<Item = [u8; 2]> + '_ {
        self.countries.keys().copied()
    }

    /// At most `len` of the videos that were met from a country, from the `from`-th on; their places do not change.
    pub fn of_country(&self, country: [u8; 2], from: usize, len: usize) -> &[(VideoIndex, Tally)] {
        let rows = self.countries.get(&country).map_or(&[][..], |country| &country.rows);
        &rows[from.min(rows.len())..(from + len).min(rows.len())]
    }

    /// The order number of the latest event that was folded in.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// Goes on from `order`, as read from the store.
    pub fn set_order(&mut self, order: u64) {
        self.order = order;
    }

    fn tally_mut(&mut self, entity: Entity) -> &mut Tally {
        fn slot(list: &mut Vec<Tally>, n: usize) -> &mut Tally {
            if list.len() <= n {
                list.resize(n + 1, Tally::default());
            }
            &mut list[n]
        }
        match entity {
            Entity::All => &mut self.all,
            Entity::Video(n) => slot(&mut self.videos, n as usize),
            Entity::Creator(n) => slot(&mut self.creators, n as usize),
            Entity::Category(n) => slot(&mut self.categories, n as usize),
            Entity::Surface(n) => slot(&mut self.surfaces, n as usize),
            Entity::Country(c, n) => self.countries.entry(c).or_default().tally_mut(n),
            Entity::Band(n) => slot(&mut self.bands, n as usize),
            Entity::SurfaceBand(s, n) => slot(&mut self.surface_bands, surface_band(s, n)),
        }
    }
}

fn surface_band(surface: u16, band: u8) -> usize {
    surface as usize * BANDS + band as usize
}

/// What one applied event adds to each count.
fn increments(applied: &Applied, duration_ms: u32) -> [f32; COUNTS] {
    let mut out = [0.0; COUNTS];
    for (count, outcomes) in COUNTED {
        let (gained, lost) = (applied.gained.and(outcomes).count(), applied.lost.and(outcomes).count());
        out[count as usize] = gained as f32 - lost as f32;
    }
    out[Count::WatchRatio as usize] = (applied.watch_ms as f32 / duration_ms.max(1) as f32).min(MAX_WATCH_RATIO);
    if applied.gained.any(Outcomes::OPENED) {
        out[Count::ExpectedLongViews as usize] = applied.expected.video.get();
    }
    out
}
