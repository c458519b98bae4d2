//! The section `feed`. `foryou.toml` says what each key does.

use serde::{Deserialize, Serialize};

use super::{Real, Whole};

/// The making of a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Feed {
    pub budget_ms: Whole<1, 10_000>,
    pub session_budget_ms: Whole<1, 10_000>,
    pub source_budget_ms: Whole<1, 10_000>,
    pub seen_window_days: Whole<1, 3_650>,
    pub candidates: Candidates,
    pub utility: Utility,
    pub diversity: Diversity,
    pub exploration: Exploration,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            budget_ms: const { Whole::new(50) },
            session_budget_ms: const { Whole::new(500) },
            source_budget_ms: const { Whole::new(20) },
            seen_window_days: const { Whole::new(90) },
            candidates: Candidates::default(),
            utility: Utility::default(),
            diversity: Diversity::default(),
            exploration: Exploration::default(),
        }
    }
}

/// How many videos each source brings, and how many are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Candidates {
    pub two_tower: Whole<0, 2_000>,
    pub similar: Whole<0, 60>,
    pub category: Whole<0, 200>,
    pub trending: Whole<0, 500>,
    pub followed: Whole<0, 2_000>,
    pub fresh: Whole<0, 500>,
    pub ranked: Whole<100, 5_000>,
}

impl Default for Candidates {
    fn default() -> Self {
        Self {
            two_tower: const { Whole::new(120) },
            similar: const { Whole::new(40) },
            category: const { Whole::new(30) },
            trending: const { Whole::new(30) },
            followed: const { Whole::new(20) },
            fresh: const { Whole::new(20) },
            ranked: const { Whole::new(200) },
        }
    }
}

/// What an outcome is worth: weights of its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Utility {
    pub long_view: Real<-100, 100>,
    pub finish: Real<-100, 100>,
    pub like: Real<-100, 100>,
    pub comment: Real<-100, 100>,
    pub share: Real<-100, 100>,
    pub follow: Real<-100, 100>,
    pub skip: Real<-100, 100>,
    pub dislike: Real<-100, 100>,
    pub watch_minute: Real<-100, 100>,
    pub mood: Real<0, 10>,
    pub refusal: Real<0, 10>,
}

impl Default for Utility {
    fn default() -> Self {
        Self {
            long_view: const { Real::new(1.0) },
            finish: const { Real::new(0.3) },
            like: const { Real::new(3.0) },
            comment: const { Real::new(4.0) },
            share: const { Real::new(5.0) },
            follow: const { Real::new(5.0) },
            skip: const { Real::new(-0.3) },
            dislike: const { Real::new(-10.0) },
            watch_minute: const { Real::new(0.5) },
            mood: const { Real::new(0.4) },
            refusal: const { Real::new(0.5) },
        }
    }
}

/// Fatigue: what is left of a video's utility for each of its creator's or category's videos that was just shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Diversity {
    pub creator: Real<0, 1>,
    pub category: Real<0, 1>,
    pub half_life_positions: Whole<1, 1_000>,
    pub half_life_s: Whole<1, 2_592_000>,
}

impl Default for Diversity {
    fn default() -> Self {
        Self {
            creator: const { Real::new(0.6) },
            category: const { Real::new(0.92) },
            half_life_positions: const { Whole::new(8) },
            half_life_s: const { Whole::new(600) },
        }
    }
}

/// Slots that are given away to videos that need a first audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Exploration {
    pub share: Real<0, 1>,
    pub first_position: Whole<0, 100>,
    pub first_audience: Whole<0, 1_000_000>,
    pub max_age_days: Whole<1, 3_650>,
}

impl Default for Exploration {
    fn default() -> Self {
        Self {
            share: const { Real::new(0.05) },
            first_position: const { Whole::new(3) },
            first_audience: const { Whole::new(100) },
            max_age_days: const { Whole::new(14) },
        }
    }
}
