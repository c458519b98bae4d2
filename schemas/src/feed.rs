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
    /// Where it stood with each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundBy>,
    /// Probability per outcome, and `watch_ms`.
    pub outcomes: BTreeMap<String, f32>,
    /// What goes into the score, and how much each adds: each outcome's probability by its weight, `watch_ms`, or `rank` where the video
    /// was not ranked; then what `mood`, `refusal`, `creator_fatigue` and `category_fatigue` change. Together they are the score, but for
    /// rounding.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub worth: BTreeMap<String, f32>,
    /// What each stage did to it, in order.
    pub stages: Vec<String>,
}

/// Where a video stood with a source that found it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundBy {
    /// Which source.
    pub source: &'static str,
    /// Its place in what the source brought, from 0.
    pub rank: u32,
    /// What the source orders by, where that is a number.
    pub score: Option<f32>,
}

/// The answer of `GET /v1/users/{id}/feed/why`: what becomes of one video in a feed that is made now and not served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// Whose feed.
    pub user: UserId,
    /// Which video.
    pub video: VideoId,
    /// The model release that made the feed; `none` while there is none.
    pub release: String,
    /// How long it took to find out.
    pub took_ms: f64,
    /// What fell back, and why, as `stage: reason`.
    pub degraded: Vec<String>,
    /// How many videos the feed was asked for.
    pub limit: u32,
    /// Whether the video is among them.
    pub shown: bool,
    /// The stage that kept it out: `filters`, `sources`, `cut`, `utility` or `diversity`; null where it is shown.
    pub stage: Option<&'static str>,
    /// Why: the filter's name, `not_found`, `too_far_down`, `outscored` or `too_alike`; null where it is shown.
    pub reason: Option<&'static str>,
    /// The same as a sentence.
    pub detail: String,
    /// Its place in the feed, or in one that goes on until it comes, from 0; null where it was not ranked.
    pub position: Option<u32>,
    /// Its score in its slot, or when the last slot was given away; also of a video that was not found, where it could be weighed.
    pub score: Option<f32>,
    /// The score of the last video shown.
    pub last_score: Option<f32>,
    /// How it stands with each source.
    pub sources: Vec<Standing>,
    /// Its story as far as it came.
    pub explain: Explain,
}

/// How a video stands with a source, whether or not the source brought it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Which source.
    pub source: &'static str,
    /// Whether it brought the video.
    pub found: bool,
    /// Its place, from 0: in what the source brought, or in the whole order of which it brought the beginning.
    pub rank: Option<u32>,
    /// What the source orders by, where that is a number.
    pub score: Option<f32>,
    /// How many videos the source brought.
    pub brought: u32,
    /// Why it did not bring this one.
    pub detail: Option<String>,
}
