//! `GET /v1/users/{id}/feed`.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::{Country, EventId, UserId, id::check_id};

use super::{
    around::json,
    input::{Query, id},
};
use crate::{
    app::{App, FeedRequest},
    error::Problem,
};

/// The person's next videos. An unknown person gets a feed too.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let user = id(&request, UserId::new)?;
    let mut query = Query::of(&request);
    let limit = query.limit();
    let after = query.take("after", |text| EventId::new(text));
    let wait = Duration::from_millis(query.whole("wait_ms", 0..=2_000, 250));
    let explain = query.flag("explain");
    let surface = query.take("surface", |text| check_id(text).map(|()| text.into()));
    let country = query.take("country", Country::parse);
    query.finish()?;
    let after = after.map(|event| (event, wait));
    let feed = app.feeds.feed(FeedRequest { user, limit, after, explain, surface, country }).await;
    json(StatusCode::OK, &feed)
}
