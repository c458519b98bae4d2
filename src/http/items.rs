//! A list of videos with scores, as `similar` and `trending` answer it.

use actix_web::{HttpResponse, http::StatusCode};
use foryou_actors::catalogue::{Catalogue, VideoIndex};
use serde::Serialize;
use utoipa::ToSchema;

use super::around::json;
use crate::error::Problem;

/// Videos with scores.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoredVideos)]
pub struct Items<'a> {
    /// Best first.
    items: Vec<Item<'a>>,
}

/// A video with its score.
#[derive(Serialize, ToSchema)]
#[schema(as = ScoredVideo)]
struct Item<'a> {
    /// Its id.
    video: &'a str,
    /// What the list is sorted by.
    score: f32,
}

/// 200 with the videos by their public ids.
pub fn answer(catalogue: &Catalogue, videos: &[(VideoIndex, f32)]) -> Result<HttpResponse, Problem> {
    let named = videos.iter().filter_map(|&(video, score)| Some(Item { video: catalogue.id(video)?.as_str(), score }));
    json(StatusCode::OK, &Items { items: named.collect() })
}
