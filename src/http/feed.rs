//! `GET /v1/users/{id}/feed`, and `GET /v1/users/{id}/feed/why`.

use std::{ops::RangeInclusive, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::catalogue::VideoIndex;
use foryou_schemas::{Country, EventId, UserId, VideoId, id::check_id};

use super::{
    around::json,
    forward::elsewhere,
    input::{Query, id},
    openapi::{Group, Spec, field, flag, refers, whole},
};
use crate::{
    app::App,
    error::Problem,
    feed::{FeedRequest, Look},
};

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

/// What the document says of [`why`].
pub fn why_spec() -> Spec {
    Spec::new(
        Group::Feeds,
        "getWhy",
        "Why a video is not in a person's feed, or where it is",
        "Of the feed that the person would get now, without chance: nothing is served and nothing recorded.",
    )
    .needs("video", "Which video", field("event", "video"))
    .limit()
    .query("after", "The id of an event of this person: the answer waits until it is applied", field("event", "id"))
    .query("wait_ms", "How long to wait for `after` at most", whole(WAITS_MS, WAIT_MS))
    .query("surface", "Where in the app the feed is shown", field("event", "surface"))
    .query("country", "Where the person is now", refers("Country"))
    .answers_with(200, "What becomes of the video, and why", "Why")
    .refuses(404)
}

/// The person's next videos. An unknown person gets a feed too.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let explain = query.flag("explain");
    let asked = FeedRequest { explain, ..asked(&request, &mut query)? };
    query.finish()?;
    let feed = app.feeds.feed(asked).await;
    json(StatusCode::OK, &feed)
}

/// Why a video is not in the feed that the person would get now, or where it is. Nothing is recorded.
pub async fn why(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let video = query.need("video", |text| VideoId::new(text));
    let asked = asked(&request, &mut query)?;
    query.finish()?;
    let (video, number) = known(&app, video)?;
    let (session, fell_back) = app.feeds.session(&asked).await;
    let FeedRequest { user, limit, surface, country, .. } = asked;
    let why = app.feeds.why(Look { user, session, limit, surface, country }, number).await;
    let mut why = why.map_err(Problem::internal)?.ok_or_else(|| Problem::unknown("video", video))?;
    why.degraded.splice(0..0, fell_back);
    json(StatusCode::OK, &why)
}

/// The number of a video that was published once; what was taken down since is known too. `None` was refused before.
pub fn known(app: &App, video: Option<VideoId>) -> Result<(VideoId, VideoIndex), Problem> {
    let video = video.ok_or_else(|| Problem::internal("a query without its video was let through"))?;
    match app.live.catalogue().find(&video) {
        Some(number) => Ok((video, number)),
        None => Err(Problem::unknown("video", video)),
    }
}

/// What both are asked. The caller ends the query.
fn asked(request: &HttpRequest, query: &mut Query) -> Result<FeedRequest, Problem> {
    let user = id(request, UserId::new)?;
    let limit = query.limit();
    let after = query.take("after", |text| EventId::new(text));
    let wait = wait(query);
    let surface = query.take("surface", |text| check_id(text).map(|()| text.into()));
    let country = query.take("country", Country::parse);
    let after = after.map(|event| (event, wait));
    Ok(FeedRequest {
        user,
        limit,
        after,
        explain: false,
        surface,
        country,
        at_hand: Vec::new(),
        elsewhere: elsewhere(request),
    })
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
