//! `GET /v1/users/{id}/feed`.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::{Country, EventId, UserId, id::check_id};

use super::{
    around::json,
    forward::elsewhere,
    input::{Query, id},
};
use crate::{app::App, error::Problem, feed::FeedRequest};

/// The person's next videos. An unknown person gets a feed too.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let user = id(&request, UserId::new)?;
    let mut query = Query::of(&request);
    let limit = query.limit();
    let after = query.take("after", |text| EventId::new(text));
    let wait = wait(&mut query);
    let explain = query.flag("explain");
    let surface = query.take("surface", |text| check_id(text).map(|()| text.into()));
    let country = query.take("country", Country::parse);
    query.finish()?;
    let after = after.map(|event| (event, wait));
    let elsewhere = elsewhere(&request);
    let feed = app.feeds.feed(FeedRequest { user, limit, after, explain, surface, country, elsewhere }).await;
    json(StatusCode::OK, &feed)
}

fn wait(query: &mut Query) -> Duration {
    Duration::from_millis(query.whole("wait_ms", 0..=2_000, 250))
}

/// How long a feed may wait for the event that it names.
pub fn patience(query: &mut Query) -> Duration {
    match query.take("after", |_| Ok(())) {
        Some(()) => wait(query),
        None => Duration::ZERO,
    }
}
