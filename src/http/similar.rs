//! `GET /v1/videos/{id}/similar`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use foryou_schemas::VideoId;

use super::{
    input::{Query, id},
    items, video,
};
use crate::{app::App, error::Problem};

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
