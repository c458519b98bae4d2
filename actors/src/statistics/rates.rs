//! Smoothed rates of a video, each falling back on the next broader one, and what they make one expect of an exposure.

use serde::{Deserialize, Serialize};

use super::{COUNTS, Count, Entity, Statistics, WINDOWS, band};
use crate::catalogue::{Entry, VideoIndex};

/// A rate in [0, 1], kept in steps of 1/65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rate(u16);

impl Rate {
    /// The nearest step.
    pub fn new(rate: f32) -> Self {
        Self((rate.clamp(0.0, 1.0) * 65_535.0).round() as u16)
    }

    /// As a number.
    pub fn get(self) -> f32 {
        f32::from(self.0) / 65_535.0
    }
}

/// What an exposure could be expected to come to before the person was looked at.
///
/// Kept with the action: a person's own taste shows in what differs from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Expected {
    /// Long-view rate of the video alone.
    pub video: Rate,
    /// Long-view rate of the video on that surface.
    pub long_view: Rate,
    /// Like rate of the video.
    pub like: Rate,
}

/// Smoothed long-view and like rates (14-day window): everything → band of lengths → video, and the surface's effect.
///
/// Each is `(successes + m × broader rate) / (impressions + m)`: the empirical-Bayes estimate with `m` pseudo-impressions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Long-view rate of everything.
    pub all: f32,
    /// Like rate of everything.
    pub all_like: f32,
    /// Long-view rate of the band of lengths.
    pub band: f32,
    /// Like rate of the band of lengths.
    pub band_like: f32,
    /// Long-view rate of the video.
    pub video: f32,
    /// Like rate of the video.
    pub video_like: f32,
    /// Long-view rate of the surface.
    pub surface: f32,
    /// Long views on the surface per long view that its videos made one expect.
    pub surface_lift: f32,
    /// Long-view rate of the video on the surface.
    pub expected: f32,
}

const LONGEST: usize = WINDOWS - 1;

/// `(sum + m × prior) / (n + m)`.
#[inline]
pub fn smoothed(sum: f32, n: f32, prior: f32, m: f32) -> f32 {
    (sum + m * prior) / (n + m)
}

/// Sums of one entity over the 14-day window.
pub type Sums = [f32; COUNTS];

impl Rates {
    /// The chain of rates from the 14-day sums of everything, the surface, the band of lengths and the video.
    pub fn new(everything: &Sums, surface: &Sums, lengths: &Sums, video: &Sums) -> Self {
        let of = |sums: &Sums, count: Count| sums[count as usize];
        let (long, like, shown) = (Count::LongViews, Count::Likes, Count::Impressions);
        let all = smoothed(of(everything, long), of(everything, shown), 0.35, 100.0);
        let all_like = smoothed(of(everything, like), of(everything, shown), 0.02, 100.0);
        let band = smoothed(of(lengths, long), of(lengths, shown), all, 50.0);
        let band_like = smoothed(of(lengths, like), of(lengths, shown), all_like, 200.0);
        let video_rate = smoothed(of(video, long), of(video, shown), band, 20.0);
        let video_like = smoothed(of(video, like), of(video, shown), band_like, 100.0);
        let surface_lift = smoothed(of(surface, long), of(surface, Count::ExpectedLongViews), 1.0, 7.0);
        Self {
            all,
            all_like,
            band,
            band_like,
            video: video_rate,
            video_like,
            surface: smoothed(of(surface, long), of(surface, shown), all, 20.0),
            surface_lift,
            expected: (video_rate * surface_lift).clamp(0.003, 0.97),
        }
    }
}

impl Statistics {
    /// The 14-day sums of an entity as of `now_s`.
    pub fn longest(&self, entity: Entity, now_s: f64) -> Sums {
        self.tally(entity).at(now_s)[LONGEST]
    }

    /// What an exposure of the video on the surface could be expected to come to, as of `now_s`.
    pub fn expected(&self, video: VideoIndex, entry: &Entry, surface: u16, now_s: f64) -> Expected {
        let sums = |entity| self.longest(entity, now_s);
        let (lengths, surface) = (Entity::Band(band(entry.duration_ms)), Entity::Surface(surface));
        let rates = Rates::new(&sums(Entity::All), &sums(surface), &sums(lengths), &sums(Entity::Video(video)));
        Expected {
            video: Rate::new(rates.video),
            long_view: Rate::new(rates.expected),
            like: Rate::new(rates.video_like),
        }
    }
}
