//! `GET /v1/users/{id}/history`: what a person did, newest first.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::{Event, UserId};
use serde::Serialize;

use super::{
    around::json,
    forward::elsewhere,
    input::{Query, id},
    patience::patiently,
};
use crate::{app::App, error::Problem};

/// How long a request waits for what is applied to be written.
pub const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct History {
    events: Vec<Event>,
}

/// The latest events, in the reverse order of their application.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let user = id(&request, UserId::new)?;
    let mut query = Query::of(&request);
    let limit = query.limit();
    query.finish()?;
    if elsewhere(&request).is_none() {
        // A feed may have shown an event's effect already: then it must be here too.
        let tickets = app.writer.tickets();
        let written = tokio::time::timeout(PATIENCE, tickets.reached(tickets.drawn())).await;
        written.map_err(|_| Problem::overloaded("The feature store is behind", Duration::from_secs(1)))?;
    }
    let activity = patiently(app.store.history(&user, limit)).await?;
    if activity.is_empty() && patiently(app.store.user(&user)).await?.is_none() {
        return Err(Problem::unknown("user", &user));
    }
    let events = activity.into_iter().map(|activity| activity.event).collect();
    json(StatusCode::OK, &History { events })
}
