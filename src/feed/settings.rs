//! What an operator can set about feeds.

use serde::{Deserialize, Serialize};

/// Settings of the feed pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedSettings {
    /// Time for a whole feed, ms; what has not begun by then falls back and is said in `degraded`.
    pub budget_ms: u64,
    /// Time for each source, ms.
    pub source_budget_ms: u64,
    /// Candidates asked of each source.
    pub candidates: CandidateCounts,
    /// The most candidates that are ranked.
    pub max_ranked: usize,
    /// A seen video does not come back for so many days.
    pub seen_window_days: u32,
    /// Value of each outcome; the utility is their sum, weighted by the predicted probabilities.
    pub utility: UtilityWeights,
    /// Variety within and across feeds.
    pub diversity: DiversitySettings,
    /// Slots for videos that need a first audience.
    pub exploration: ExplorationSettings,
}

/// Candidates asked of each source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "one per source, named like it")]
pub struct CandidateCounts {
    pub two_tower: usize,
    pub similar: usize,
    pub trending: usize,
    pub followed: usize,
    pub fresh: usize,
}

/// Value of each outcome of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "one per outcome, named like it")]
pub struct UtilityWeights {
    pub long_view: f32,
    pub finish: f32,
    pub like: f32,
    pub comment: f32,
    pub share: f32,
    pub follow: f32,
    pub skip: f32,
    pub dislike: f32,
    /// Per second of expected watch time.
    pub watch_s: f32,
    /// How strongly refusals in a category (or by twice as much, of a creator) push it down: utility × exp(−strength × refusals).
    pub refusal: f32,
}

/// Variety within and across feeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiversitySettings {
    /// Utility is multiplied by this for each recent video of the same creator.
    pub creator: f32,
    /// … and for each recent video of the same category.
    pub category: f32,
    /// Half-life of what "recent" means within a feed, in positions.
    pub half_life_positions: f32,
    /// Half-life of what was served in earlier feeds, in seconds.
    pub half_life_s: f32,
}

/// Slots for videos that need a first audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExplorationSettings {
    /// The probability that a slot explores, from `first_position` on.
    pub share: f32,
    /// Positions before this never explore.
    pub first_position: usize,
    /// A video with fewer impressions than this (14-day window) needs an audience.
    pub below_impressions: f32,
    /// … if it is not older than this, days.
    pub max_age_days: f32,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self {
            budget_ms: 50,
            source_budget_ms: 10,
            candidates: CandidateCounts::default(),
            max_ranked: 200,
            seen_window_days: 90,
            utility: UtilityWeights::default(),
            diversity: DiversitySettings::default(),
            exploration: ExplorationSettings::default(),
        }
    }
}

impl Default for CandidateCounts {
    fn default() -> Self {
        Self { two_tower: 120, similar: 40, trending: 30, followed: 20, fresh: 20 }
    }
}

impl Default for UtilityWeights {
    fn default() -> Self {
        Self {
            long_view: 1.0,
            finish: 0.3,
            like: 3.0,
            comment: 4.0,
            share: 5.0,
            follow: 5.0,
            skip: -0.3,
            dislike: -10.0,
            watch_s: 0.01,
            refusal: 0.7,
        }
    }
}

impl Default for DiversitySettings {
    fn default() -> Self {
        Self { creator: 0.6, category: 0.94, half_life_positions: 8.0, half_life_s: 600.0 }
    }
}

impl Default for ExplorationSettings {
    fn default() -> Self {
        Self { share: 0.05, first_position: 3, below_impressions: 100.0, max_age_days: 14.0 }
    }
}
