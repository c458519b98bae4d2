//! Feeds: what a person is shown.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{CreatorId, FeedId, UserId, VideoId};

/// The answer of `GET /v1/users/{id}/feed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feed {
    /// The feed's id, for events that follow from it.
    pub feed: FeedId,
    /// Whose it is.
    pub user: UserId,
    /// The model release that made it; `none` while there is none.
    pub release: String,
    /// From the request's arrival to this answer.
    pub took_ms: f64,
    /// What fell back, and why, as `stage: reason`.
    pub degraded: Vec<String>,
    /// Best first.
    pub items: Vec<FeedItem>,
}

/// One video of a feed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedItem {
    /// Which.
    pub video: VideoId,
    /// Its place, from 0.
    pub position: u32,
    /// Utility as ranked; finite.
    pub score: f32,
    /// The source that found it (the first, where several did).
    pub source: &'static str,
    /// Whether an exploration slot brought it.
    pub explore: bool,
    /// The probability with which the policy put this video into this slot, in (0, 1].
    pub propensity: f32,
    /// Who published it.
    pub creator: CreatorId,
    /// Its category.
    pub category: Box<str>,
    /// Its length.
    pub duration_ms: u32,
    /// Its title, where it has one.
    pub title: Option<Box<str>>,
    /// The item's story, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
}

/// Why an item stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explain {
    /// Every source that found it.
    pub sources: Vec<&'static str>,
    /// Probability per outcome, and `watch_ms`.
    pub outcomes: BTreeMap<String, f32>,
    /// What each stage did to it, in order.
    pub stages: Vec<String>,
}
