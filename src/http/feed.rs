//! `GET /v1/users/{id}/feed`.

use std::{ops::RangeInclusive, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::{Country, EventId, UserId, id::check_id};

use super::{
    around::json,
    forward::elsewhere,
    input::{Query, id},
    openapi::{Group, Spec, field, flag, refers, whole},
};
use crate::{app::App, error::Problem, feed::FeedRequest};

/// How long a feed may wait for the event that it names.
const WAITS_MS: RangeInclusive<u32> = 0..=2_000;
/// How long it waits where nobody says.
const WAIT_MS: u32 = 250;

/// What the document says of it.
pub fn spec() -> Spec {
    Spec::new(
        Group::Feeds,
        "getFeed",
        "A person's next videos",
        "Best first. Somebody who is not known yet gets a feed too. What could not be done in time is left out and named in \
         `degraded`: a feed is better than none. Serving it says that the videos were offered, not that they were seen: send \
         `impression` or `view` events for those, with `feed` and `position`.",
    )
    .limit()
    .query("after", "The id of an event of this person: the feed waits until it is applied", field("event", "id"))
    .query("wait_ms", "How long to wait for `after` at most", whole(WAITS_MS, WAIT_MS))
    .query("explain", "Whether to tell each item's story", flag())
    .query("surface", "Where in the app the feed is shown", field("event", "surface"))
    .query("country", "Where the person is now", refers("Country"))
    .answers_with(200, "The feed", "Feed")
}

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
    Duration::from_millis(query.whole("wait_ms", WAITS_MS, WAIT_MS).into())
}

/// How long a feed may wait for the event that it names.
pub fn patience(query: &mut Query) -> Duration {
    match query.take("after", |_| Ok(())) {
        Some(()) => wait(query),
        None => Duration::ZERO,
    }
}
