//! `GET /v1/feed/ws`: a feed that stays fresh. A person's client says what happens, and is sent a better tail without asking.

mod actor;
#[cfg(test)]
mod asyncapi;
mod carried;
mod frames;
mod messages;
mod open;
mod outbox;
mod subscription;

use std::time::Duration;

use actix_http::ws::handshake;
use actix_web::{HttpRequest, HttpResponse, body::MessageBody, web};
use foryou_actors::services::membership::Home;
use foryou_schemas::{Country, UserId, id::check_id};

use super::{
    forward::{self, Forwarder},
    input::Query,
    openapi::{Group, Spec, field, refers, text},
};
use crate::{
    access::{Caller, origin_allowed},
    app::App,
    config,
    error::Problem,
};
use actor::{FeedSocket, Parts};
use frames::Incoming;
pub use open::Sockets;

/// After how long a client may ask again whose person this node does not hold.
const RETRY: Duration = Duration::from_secs(1);

/// More than the longest message to a client: a hundred videos, each with its story.
const LARGEST_FRAME: usize = 1 << 20;

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
    forwarder: web::Data<Forwarder>,
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
    let mut response = handshake(request.head()).map_err(|error| Problem::no_socket(&error))?;
    let place = match (app.membership.home(&user), forward::sender(request.headers())) {
        (Home::Here, _) => app.sockets.enter(&user)?,
        (Home::Nobody { reason }, _) => return Err(Problem::overloaded(&reason, RETRY)),
        (Home::There { .. }, Some(sender)) => {
            return Err(Problem::overloaded(&forward::disagree(sender, &app), RETRY));
        }
        (Home::There { node, address }, None) => {
            let place = app.sockets.enter(&user)?;
            let limit = app.config.cluster.forward_timeout_ms.millis();
            let opened = forwarder.open(&address, &request, limit).await;
            let opened = opened.map_err(|error| Problem::away(&forward::silent(&node), error))?;
            return match opened {
                Err(refused) => Ok(refused),
                Ok(peer) => {
                    let carried = carried::carry(peer, payload, app.sockets.stopping(), place);
                    Ok(response.message_body(carried.boxed()).map_err(Problem::internal)?.into())
                }
            };
        }
    };
    let subscriber = app.subscriptions.subscribe(user.clone(), &app.sessions).await?;
    let limit = app.sockets.settings().frame_limit_kb.count() * 1024;
    let (out, sent) = outbox::line(app.sockets.unread().clone());
    let response = response.message_body(sent.boxed()).map_err(Problem::internal)?;
    FeedSocket::start(
        Parts { app, user, caller, _place: place, surface, country, out },
        Incoming::new(payload, limit),
        subscriber,
    );
    Ok(response.into())
}

/// How much of an answer a connection may hold before it waits for its client: more than a socket ever has, since a connection that waits
/// cannot be dropped.
pub fn write_buffer(settings: &config::Sockets) -> usize {
    settings.unread_kb.count() * 1024 + LARGEST_FRAME
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
