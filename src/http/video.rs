//! `PUT`, `GET`, `DELETE /v1/videos/{id}`: one video. A removed one is kept for what refers to it, and looks unknown from here.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    statistics::{Count, Entity, Tally},
};
use foryou_schemas::{Status, Video, VideoId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    around,
    input::{Body, id},
    openapi::{Group, Spec, refers},
    patience::patiently,
};
use crate::{app::App, error::Problem};

#[derive(Serialize)]
struct Document<'a> {
    id: &'a VideoId,
    #[serde(flatten)]
    video: &'a Video,
    stats: Stats,
}

/// Counts since the beginning.
#[derive(Serialize, ToSchema)]
#[schema(as = VideoStats)]
pub struct Stats {
    impressions: u32,
    views: u32,
    long_views: u32,
    finishes: u32,
    likes: u32,
    engagements: u32,
    skips: u32,
    negatives: u32,
}

impl From<Tally> for Stats {
    fn from(tally: Tally) -> Self {
        Self {
            impressions: tally.total(Count::Impressions),
            views: tally.total(Count::Views),
            long_views: tally.total(Count::LongViews),
            finishes: tally.total(Count::Finishes),
            likes: tally.total(Count::Likes),
            engagements: tally.total(Count::Engagements),
            skips: tally.total(Count::Skips),
            negatives: tally.total(Count::Negatives),
        }
    }
}

/// The number and the record of a video that is there and was not removed.
pub fn find(catalogue: &Catalogue, id: &VideoId) -> Result<(VideoIndex, Arc<Video>), Problem> {
    let known = catalogue.find(id).and_then(|number| Some((number, catalogue.video(number)?.clone())));
    known.filter(|(_, video)| video.status == Status::Live).ok_or_else(|| Problem::unknown("video", id))
}

/// What the document says of the change.
pub fn put_spec() -> Spec {
    let about = "Adds the video, or replaces all of it but its counts. It can be in a feed as soon as this is answered. With `status` \
                 `removed` it is taken down.";
    let example =
        json!({"creator": "c1", "category": "cooking", "duration_ms": 15_300, "tags": ["soup"], "title": "Soup"});
    Spec::new(Group::Videos, "putVideo", "Publish a video", about)
        .reads("The video", refers("VideoProfile"), example)
        .answers_with(200, "The video, replaced", "StoredVideo")
        .answers_with(201, "The video, new", "StoredVideo")
        .mentions::<Stats>()
}

/// What the document says of the question.
pub fn get_spec() -> Spec {
    let about = "The video with its counts since the beginning. One that was removed is as unknown.";
    Spec::new(Group::Videos, "getVideo", "A video", about).answers_with(200, "The video", "StoredVideo").refuses(404)
}

/// What the document says of the removal.
pub fn delete_spec() -> Spec {
    let about = "It is in no feed from now on. What people did with it is kept.";
    Spec::new(Group::Videos, "deleteVideo", "Take a video down", about).ends(204, "The video is removed").refuses(404)
}

/// Adds or replaces the video; it can be in a feed when this is answered.
pub async fn put(app: Data<App>, request: HttpRequest, Body(body): Body) -> Result<HttpResponse, Problem> {
    let id = id(&request, VideoId::new)?;
    let video = Video::parse(&body)?;
    let before = find(&app.live.catalogue(), &id).is_ok();
    let put = patiently(app.catalogue.put_videos(vec![(id.clone(), video)])).await?;
    let number = put.first().map(|(number, _)| *number).ok_or_else(|| Problem::internal("no answer for a video"))?;
    document(&app, &id, number, if before { StatusCode::OK } else { StatusCode::CREATED })
}

/// The video with its counts.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id(&request, VideoId::new)?;
    let (number, _) = find(&app.live.catalogue(), &id)?;
    document(&app, &id, number, StatusCode::OK)
}

/// Takes the video down.
pub async fn delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id(&request, VideoId::new)?;
    find(&app.live.catalogue(), &id)?;
    patiently(app.catalogue.remove(id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn document(app: &App, id: &VideoId, number: VideoIndex, status: StatusCode) -> Result<HttpResponse, Problem> {
    let catalogue = app.live.catalogue();
    let video = catalogue.video(number).ok_or_else(|| Problem::unknown("video", id))?;
    let tally = app.live.statistics.read().tally(Entity::Video(number));
    around::json(status, &Document { id, video, stats: tally.into() })
}
