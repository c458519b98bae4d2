//! The section `feed`. `foryou.toml` says what each key does.

use serde::{Deserialize, Serialize};

use super::{Real, Whole};

/// The making of a feed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Feed {
    pub budget: Budget,
    pub candidates: Candidates,
    pub utility: Utility,
    pub diversity: Diversity,
    pub exploration: Exploration,
}

/// How long each stage may take, milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Budget {
    pub session_ms: Whole<1, 10_000>,
    pub sources_ms: Whole<1, 10_000>,
    pub features_ms: Whole<1, 10_000>,
    pub ranker_ms: Whole<1, 10_000>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            session_ms: const { Whole::new(100) },
            sources_ms: const { Whole::new(50) },
            features_ms: const { Whole::new(50) },
            ranker_ms: const { Whole::new(100) },
        }
    }
}

/// How many videos each source brings, and how many are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Candidates {
    pub two_tower: Whole<0, 2_000>,
    pub similar: Whole<0, 2_000>,
    pub trending: Whole<0, 2_000>,
    pub followed: Whole<0, 2_000>,
    pub new: Whole<0, 2_000>,
    pub ranked: Whole<100, 5_000>,
}

impl Default for Candidates {
    fn default() -> Self {
        Self {
            two_tower: const { Whole::new(200) },
            similar: const { Whole::new(60) },
            trending: const { Whole::new(60) },
            followed: const { Whole::new(40) },
            new: const { Whole::new(20) },
            ranked: const { Whole::new(300) },
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
}

impl Default for Utility {
    fn default() -> Self {
        Self {
            long_view: const { Real::new(1.0) },
            finish: const { Real::new(0.2) },
            like: const { Real::new(2.0) },
            comment: const { Real::new(2.0) },
            share: const { Real::new(3.0) },
            follow: const { Real::new(3.0) },
            skip: const { Real::new(-0.3) },
            dislike: const { Real::new(-5.0) },
            watch_minute: const { Real::new(0.1) },
        }
    }
}

/// Fatigue: how much less a creator or a category is worth each time it was just shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Diversity {
    pub creator_fatigue: Real<0, 1>,
    pub category_fatigue: Real<0, 1>,
    pub half_life_s: Whole<1, 2_592_000>,
}

impl Default for Diversity {
    fn default() -> Self {
        Self {
            creator_fatigue: const { Real::new(0.4) },
            category_fatigue: const { Real::new(0.05) },
            half_life_s: const { Whole::new(600) },
        }
    }
}

/// Slots that are given away to learn something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Exploration {
    pub slots: Whole<0, 100>,
    pub share: Real<0, 1>,
    pub first_audience: Whole<0, 1_000_000>,
}

impl Default for Exploration {
    fn default() -> Self {
        Self {
            slots: const { Whole::new(2) },
            share: const { Real::new(0.5) },
            first_audience: const { Whole::new(100) },
        }
    }
}
