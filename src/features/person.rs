//! What is prepared once per request, and the row of one candidate.

use std::slice;

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    sessions::state::{Action, Outcomes, Past, SessionState},
    statistics::{BANDS, Entity, MAX_WATCH_RATIO, Rates, Statistics, Sums, band},
};
use foryou_index::kernel::prefetch;

use super::{candidate::Candidate, registry::REGISTRY, taste::Taste, vector::Direction};

/// What a person did later than this before the request does not enter the *slow* features.
///
/// A running rate that has just counted one positive sits wrong for the negative that follows: live personal rates raise AUC
/// but lower GAUC (measured: .763/.617 live, .760/.659 slow). What is live is the retrieval score and the similarities.
pub const SLOW_BEFORE_S: f64 = 36.0 * 3_600.0;

/// Item vectors by dense number, in the layout of `foryou_trainer::two_tower`: `[4 v, bias]`, without recency prior.
pub trait ItemVectors {
    /// The vector of a video, if it has one.
    fn vector(&self, video: VideoIndex) -> Option<&[f32]>;
}

/// All that features may depend on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The person, before the outcome that is to be predicted.
    pub session: &'a SessionState,
    /// The videos.
    pub catalogue: &'a Catalogue,
    /// What happened to videos so far.
    pub statistics: &'a Statistics,
    /// The release's item vectors.
    pub vectors: &'a dyn ItemVectors,
    /// The release's vector of this person (`[u, 1]`); `None` while there is no release.
    pub user_vector: Option<&'a [f32]>,
    /// The time of the request, milliseconds since 1970.
    pub now_ms: i64,
    /// Dense number of the surface that asks.
    pub surface: u16,
}

/// An earlier exposure as the slow features read it.
pub(super) struct Earlier {
    pub category: u32,
    pub creator: u32,
    /// Natural logarithm of the length in seconds.
    pub duration_log: f32,
    pub long_view: f32,
    /// Long view less its expectation.
    pub surplus: f32,
    /// Like less its expectation.
    pub like_surplus: f32,
    /// `0.5^(age / 3 days)`.
    pub weight: f32,
}

/// A person at the moment of a request.
pub struct Person<'a> {
    pub(super) inputs: Inputs<'a>,
    pub(super) now_s: f64,
    /// Sums over the 14-day window: everything, the surface, and each band of lengths alone and on the surface.
    everything: Sums,
    pub(super) surface: [Sums; 3],
    bands: [Sums; BANDS],
    surface_bands: [Sums; BANDS],
    /// Slow exposures, and the sums over all of them and those before.
    pub(super) earlier: Vec<Earlier>,
    pub(super) past: Past,
    /// `Σ weight` and `Σ weight × surplus` over the slow exposures.
    pub(super) recent: (f32, f32),
    /// Directions of what was enjoyed and skipped: live.
    pub(super) taste: Taste<'a>,
    /// What came of the last few exposures: live.
    pub(super) lately: Lately,
}

impl<'a> Person<'a> {
    /// Prepares what all candidates share.
    pub fn new(inputs: Inputs<'a>) -> Self {
        let now_s = inputs.now_ms as f64 / 1e3;
        let statistics = inputs.statistics;
        let longest = |entity| statistics.longest(entity, now_s);
        let (mut earlier, mut past, mut recent) = (Vec::new(), inputs.session.past, (0.0, 0.0));
        for action in &inputs.session.actions {
            let age_s = now_s - f64::from(action.at_s);
            let Some(entry) = inputs.catalogue.entry(action.video).filter(|_| age_s >= SLOW_BEFORE_S) else { continue };
            let weight = (-age_s / (3.0 * 86_400.0)).exp2() as f32;
            past.add(action);
            recent = (recent.0 + weight, recent.1 + weight * action.surplus());
            earlier.push(Earlier {
                category: entry.category,
                creator: entry.creator,
                duration_log: duration_log(entry.duration_ms),
                long_view: action.long_view(),
                surplus: action.surplus(),
                like_surplus: action.like_surplus(),
                weight,
            });
        }
        Self {
            now_s,
            everything: longest(Entity::All),
            surface: statistics.tally(Entity::Surface(inputs.surface)).at(now_s),
            bands: std::array::from_fn(|n| longest(Entity::Band(n as u8))),
            surface_bands: std::array::from_fn(|n| longest(Entity::SurfaceBand(inputs.surface, n as u8))),
            earlier,
            past,
            recent,
            taste: Taste::new(inputs.session, inputs.vectors),
            lately: Lately::of(inputs.session, inputs.catalogue),
            inputs,
        }
    }

    /// Has the processor fetch what [`row`](Self::row) reads of a video: it lies all over memory, and waiting for it takes longer than
    /// computing.
    pub fn prefetch(&self, video: VideoIndex) {
        let Some(entry) = self.inputs.catalogue.entry(video) else { return };
        for entity in [Entity::Video(video), Entity::Creator(entry.creator)] {
            self.inputs.statistics.find(entity).into_iter().for_each(|tally| prefetch(slice::from_ref(tally)));
        }
        self.inputs.vectors.vector(video).into_iter().for_each(prefetch);
    }

    /// Appends the candidate's row (`REGISTRY.len()` values, NaN for unknown) to `out`. Returns whether the video is known.
    pub fn row(&self, video: VideoIndex, out: &mut Vec<f32>) -> bool {
        let Some(entry) = self.inputs.catalogue.entry(video) else { return false };
        let statistics = self.inputs.statistics;
        let tally = statistics.tally(Entity::Video(video)).at(self.now_s);
        let n = band(entry.duration_ms) as usize;
        let vector = self.inputs.vectors.vector(video);
        let candidate = Candidate {
            entry,
            duration_log: duration_log(entry.duration_ms),
            rates: Rates::new(&self.everything, &self.surface[2], &self.bands[n], &tally[2]),
            video: tally,
            creator: statistics.longest(Entity::Creator(entry.creator), self.now_s),
            category: statistics.longest(Entity::Category(entry.category), self.now_s),
            surface_band: &self.surface_bands[n],
            score: self.inputs.user_vector.zip(vector).map(|(user, item)| super::vector::dot(user, item)),
            direction: vector.map(Direction::of),
        };
        let crosses = candidate.crosses(self);
        out.extend(REGISTRY.iter().map(|feature| {
            let value = (feature.value)(self, &candidate, &crosses);
            if value.is_finite() { value.clamp(feature.range.0, feature.range.1) } else { f32::NAN }
        }));
        true
    }

    /// Long views less expected ones, per exposure, shrunk towards none.
    pub(super) fn bias(&self) -> f32 {
        self.past.surplus / (self.past.shown + 10.0)
    }

    /// Likes less expected ones, per exposure, shrunk towards none.
    pub(super) fn like_bias(&self) -> f32 {
        self.past.like_surplus / (self.past.shown + 20.0)
    }
}

/// What came of the latest exposures, as shares; NaN where there is none.
pub(super) struct Lately {
    /// Long views per exposure.
    pub long_views: f32,
    /// Skips per exposure.
    pub skips: f32,
    /// Mean watch ratio of what was played, each at most [`MAX_WATCH_RATIO`].
    pub watch_ratio: f32,
}

/// How many exposures [`Lately`] looks at.
const LATEST: usize = 10;

impl Lately {
    fn of(session: &SessionState, catalogue: &Catalogue) -> Self {
        let latest = || session.actions.iter().rev().take(LATEST);
        let share = |outcomes| latest().filter(|a| a.outcomes.any(outcomes)).count() as f32 / latest().count() as f32;
        let ratio = |action: &Action| {
            let played = action.outcomes.any(Outcomes::VIEW).then(|| catalogue.entry(action.video)).flatten()?;
            let ratio = f32::from(action.watch_ds) * 100.0 / played.duration_ms.max(1) as f32;
            Some(ratio.min(MAX_WATCH_RATIO))
        };
        let ratios = || latest().filter_map(ratio);
        Self {
            long_views: share(Outcomes::LONG_VIEW),
            skips: share(Outcomes::SKIP),
            watch_ratio: ratios().sum::<f32>() / ratios().count() as f32,
        }
    }
}

/// Natural logarithm of the length in seconds, between 1 s and 10 min.
pub(super) fn duration_log(duration_ms: u32) -> f32 {
    (duration_ms.clamp(1_000, 600_000) as f32 / 1e3).ln()
}
