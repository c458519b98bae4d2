//! `GET /v1/feed/ws`: a feed that stays fresh. A person's client says what happens, and is sent a better tail without asking.

mod actor;
mod messages;
mod open;
mod subscription;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use foryou_actors::services::membership::Home;
use foryou_schemas::{Country, UserId, id::check_id};

use super::{
    input::Query,
    openapi::{Group, Spec, field, refers, text},
};
use crate::{
    access::{Caller, origin_allowed},
    app::App,
    error::Problem,
};
use actor::{FeedSocket, Parts};
pub use open::Sockets;

/// After how long a client may ask again whose person this node does not hold.
const RETRY: Duration = Duration::from_secs(1);

/// The path.
pub const PATH: &str = "/v1/feed/ws";

/// What the document says of it.
pub fn spec() -> Spec {
    Spec::new(
        Group::Feeds,
        "openFeedSocket",
        "A feed that stays fresh (WebSocket)",
        "A WebSocket handshake. From then on one JSON object a frame, each with a `type`: the client says `hello`, `event`, `seen`, `more`, \
         `ping`; the server `welcome`, `feed`, `ack`, `pong`, `error`, `bye`. The server replaces what is still to be watched whenever it \
         knows better.",
    )
    .query("user", "Whose feed; with a person's token it is theirs, and may be left out", field("user", "id"))
    .query("surface", "Where in the app the feed is shown", field("event", "surface"))
    .query("country", "Where the person is now", refers("Country"))
    .query("access_token", "The token, where a browser cannot set a header", text())
    .ends(101, "The socket is open")
}

/// Opens the socket. Whose it is says the token, or `user` where it is a server's.
pub async fn get(
    app: web::Data<App>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let user = query.take("user", |text| UserId::new(text));
    let surface = query.take("surface", |text| check_id(text).map(|()| text.into()));
    let country = query.take("country", Country::parse);
    query.take("access_token", |_| Ok(()));
    query.finish()?;
    if !origin_allowed(&request) {
        return Err(Problem::forbidden("Pages of this origin may not open sockets here; list it in access.origins."));
    }
    let user = whose(&caller, user)?;
    match app.membership.home(&user) {
        Home::Here => {}
        Home::There { node, .. } => return Err(Problem::overloaded(&format!("Node {node} holds this user"), RETRY)),
        Home::Nobody { reason } => return Err(Problem::overloaded(&reason, RETRY)),
    }
    let place = app.sockets.enter(&user)?;
    let (response, out, frames) = actix_ws::handle(&request, payload).map_err(|error| Problem::no_socket(&error))?;
    let subscriber = app.subscriptions.subscribe(user.clone(), &app.sessions).await?;
    let limit = app.sockets.settings().frame_limit_kb.count() * 1024;
    let frames = frames.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    FeedSocket::start(Parts { app, user, caller, _place: place, surface, country, out }, frames, subscriber);
    Ok(response)
}

fn whose(caller: &Caller, named: Option<UserId>) -> Result<UserId, Problem> {
    match (caller.person(), named) {
        (Some(person), None) => Ok(person.user.clone()),
        (_, Some(user)) if caller.may_act_for(&user) => Ok(user),
        (_, Some(_)) => Err(Problem::forbidden("This user is another than the token's; leave `user` out.")),
        (None, None) => {
            let missing = "is missing; say whose feed it is";
            Err(Problem::invalid_address(foryou_schemas::Invalid::field("user", missing)))
        }
    }
}
