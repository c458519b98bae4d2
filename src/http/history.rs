//! `GET /v1/users/{id}/history`: what a person did, newest first.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::{Event, UserId};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Array, ArrayBuilder},
};

use super::{
    around::json,
    forward::elsewhere,
    input::{Query, id},
    openapi::{Group, Spec, refers},
    patience::patiently,
};
use crate::{app::App, error::Problem};

/// How long a request waits for what is applied to be written.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What a person did.
#[derive(Serialize, ToSchema)]
pub struct History {
    /// Newest first.
    #[schema(schema_with = recorded)]
    events: Vec<Event>,
}

fn recorded() -> Array {
    ArrayBuilder::new().items(refers("RecordedEvent")).description(Some("Newest first")).build()
}

/// What the document says of it.
pub fn spec() -> Spec {
    let about = "The latest events, in the reverse order of their application.";
    Spec::new(Group::People, "getHistory", "What a person did", about)
        .limit()
        .answers::<History>(200, "The events")
        .refuses(404)
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
