//! `GET /v1/videos/{id}/similar`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use foryou_schemas::VideoId;

use super::{
    input::{Query, id},
    items,
    openapi::{Group, Spec},
    video,
};
use crate::{app::App, error::Problem};

/// What the document says of it.
pub fn spec() -> Spec {
    Spec::new(Group::Videos, "getSimilar", "What is like a video", "By what the models know of it, nearest first.")
        .limit()
        .answers::<items::Items<'_>>(200, "The videos")
        .refuses(404)
}

/// The videos nearest to one, nearest first.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id(&request, VideoId::new)?;
    let mut query = Query::of(&request);
    let limit = query.limit();
    query.finish()?;
    let (number, _) = video::find(&app.live.catalogue(), &id)?;
    let similar = app.feeds.similar(number, limit);
    items::answer(&app.live.catalogue(), &similar)
}
