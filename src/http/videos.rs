//! `POST /v1/videos`: the catalogue in bulk.

use actix_web::{HttpResponse, web::Data};
use foryou_schemas::{Video, VideoId, event::MAX_BATCH, object};
use serde_json::json;

use super::{
    input::Body,
    openapi::{Group, Spec, refers},
    patience::patiently,
    results::{Answer, Outcome, Status, answer},
};
use crate::{app::App, error::Problem};

/// What the document says of it.
pub fn spec() -> Spec {
    let about = "Up to 1,000 videos, each added or replaced as by `PUT`. Of several with one id the last counts.";
    let video = json!({"id": "v1", "creator": "c1", "category": "cooking", "duration_ms": 15_300});
    Spec::new(Group::Videos, "postVideos", "Publish many videos", about)
        .reads("The videos", refers("VideoBatch"), json!({"videos": [video]}))
        .answers::<Answer<'_>>(202, "A result for each video, in order. Where every one is rejected the answer is 422")
}

/// Writes every acceptable video; a later one of the same id wins.
pub async fn post(app: Data<App>, Body(body): Body) -> Result<HttpResponse, Problem> {
    let elements = object::batch(&body, "videos", MAX_BATCH)?;
    let mut videos: Vec<(VideoId, Video)> = Vec::with_capacity(elements.len());
    let results: Vec<Outcome> = elements
        .iter()
        .map(|element| match Video::parse_with_id(element.get().as_bytes()) {
            Ok((id, video)) => {
                let outcome = Outcome::of(id.as_str(), Status::Accepted);
                videos.push((id, video));
                outcome
            }
            Err(invalid) => Outcome::rejected(element, invalid),
        })
        .collect();
    if !videos.is_empty() {
        patiently(app.catalogue.put_videos(videos)).await?;
    }
    answer("videos", &results)
}
