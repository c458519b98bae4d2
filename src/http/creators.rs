//! `GET /v1/users/{id}/creators`: whom a person follows and blocks, newest first, page by page.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::ports::store::creators::{Before, Related, Relation};
use foryou_schemas::{CreatorId, Timestamp, UserId};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{Object, ObjectBuilder, Type},
    },
};

use super::{
    around::json,
    forward::elsewhere,
    history::PATIENCE,
    input::{Query, id},
    openapi::{Group, Spec, field, word},
    patience::patiently,
};
use crate::{app::App, error::Problem};

/// Whom a person follows and blocks.
#[derive(Serialize, ToSchema)]
pub struct Creators {
    /// Newest first.
    creators: Vec<Row>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A creator, and how the person stands to them.
#[derive(Serialize, ToSchema)]
#[schema(as = RelatedCreator)]
struct Row {
    #[schema(schema_with = creator)]
    creator: CreatorId,
    #[schema(schema_with = relation)]
    relation: Relation,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

fn creator() -> RefOr<Schema> {
    field("video", "creator")
}

fn relation() -> Object {
    word(&["follow", "block"], None)
}

/// What the document says of it.
pub fn spec() -> Spec {
    Spec::new(Group::People, "getCreators", "Whom a person follows and blocks", "Newest first, page by page.")
        .limit()
        .query("before", "The `next` of the page before; the first page without it", place_schema())
        .answers::<Creators>(200, "A page")
        .refuses(404)
}

/// The creators with whom the person has to do; `before` is the `next` of the page before.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let user = id(&request, UserId::new)?;
    let mut query = Query::of(&request);
    let limit = query.limit();
    let before = query.take("before", place);
    query.finish()?;
    if elsewhere(&request).is_none() {
        written(&app, &user).await?;
    }
    // One more tells whether there is a next page.
    let mut related = patiently(app.store.creators(&user, before.as_ref(), limit + 1)).await?;
    if related.is_empty() && patiently(app.store.user(&user)).await?.is_none() {
        return Err(Problem::unknown("user", &user));
    }
    let more = related.len() > limit;
    related.truncate(limit);
    let next = related.last().filter(|_| more).map(|last| format!("{}.{}", last.since.millis(), last.creator.as_str()));
    let row = |Related { creator, relation, since }| Row { creator, relation, since };
    json(StatusCode::OK, &Creators { creators: related.into_iter().map(row).collect(), next })
}

/// Waits for what a feed may have shown already. A session from before there was a table of creators has its own written as it wakes.
async fn written(app: &App, user: &UserId) -> Result<(), Problem> {
    let written = async {
        let _known_by_the_store_or_not = app.sessions.view(user).await;
        let tickets = app.writer.tickets();
        tickets.reached(tickets.drawn()).await;
        app.writer.flush().await
    };
    let behind = || Problem::overloaded("The feature store is behind", Duration::from_secs(1));
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(behind()),
    }
}

/// What [`place`] reads: milliseconds since 1970, a dot, an id.
fn place_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^-?[0-9]{1,14}\.[^\u0000-\u001f\u007f-\u009f]{1,128}$"))
        .build()
}

fn place(text: &str) -> Result<Before, String> {
    let read = || {
        let (since, creator) = text.split_once('.')?;
        Some((Timestamp::from_millis(since.parse().ok()?)?, CreatorId::new(creator).ok()?))
    };
    read().ok_or_else(|| format!("must be the `next` of the page before, not {text:?}"))
}
