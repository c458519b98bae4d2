//! `POST /v1/videos`: the catalogue in bulk.

use actix_web::{HttpResponse, web::Data};
use foryou_schemas::{Video, VideoId, event::MAX_BATCH, object};

use super::{
    input::Body,
    patience::patiently,
    results::{Outcome, Status, answer},
};
use crate::{app::App, error::Problem};

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
