//! `PUT`, `GET`, `DELETE /v1/videos/{id}`: one video. A removed one is kept for what refers to it, and looks unknown from here.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    statistics::{Count, Entity, Tally},
};
use foryou_schemas::{Status, Video, VideoId};
use serde::Serialize;

use super::{
    around::json,
    input::{Body, id},
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
#[derive(Serialize)]
struct Stats {
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
    json(status, &Document { id, video, stats: tally.into() })
}
