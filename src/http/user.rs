//! `PUT`, `GET`, `DELETE /v1/users/{id}`: one person.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::services::membership::Home;
use foryou_schemas::{User, UserId};
use serde::Serialize;
use serde_json::json;

use super::{
    around, forward,
    input::{Body, id},
    openapi::{Group, Spec, refers},
    patience::patiently,
};
use crate::{app::App, error::Problem};

#[derive(Serialize)]
struct Document<'a> {
    id: &'a UserId,
    #[serde(flatten)]
    user: &'a User,
}

/// What the document says of the change.
pub fn put_spec() -> Spec {
    let about = "Sets the whole profile: what is not given is unset. All of it is optional; nobody has to be told of before events come.";
    Spec::new(Group::People, "putUser", "Set a person's profile", about)
        .reads("The profile", refers("UserProfile"), json!({"age": 27, "country": "DE", "language": "de"}))
        .answers_with(200, "The profile, changed", "User")
        .answers_with(201, "The profile of somebody new", "User")
}

/// What the document says of the question.
pub fn get_spec() -> Spec {
    let about = "An empty profile for a person of whom only events are known.";
    Spec::new(Group::People, "getUser", "A person's profile", about)
        .answers_with(200, "The profile", "User")
        .refuses(404)
}

/// What the document says of the erasure.
pub fn delete_spec() -> Spec {
    let about =
        "Everything: profile, history, what was learned, on all nodes. What was accepted before is settled first.";
    Spec::new(Group::People, "deleteUser", "Erase a person", about).ends(204, "The person is erased").refuses(404)
}

/// Sets the profile. What is not given is unset.
pub async fn put(app: Data<App>, request: HttpRequest, Body(body): Body) -> Result<HttpResponse, Problem> {
    let id = id(&request, UserId::new)?;
    let user = User::parse(&body)?;
    let profile = (id.clone(), user);
    let new = set(&app, std::slice::from_ref(&profile)).await?;
    let status = if new.first() == Some(&true) { StatusCode::CREATED } else { StatusCode::OK };
    around::json(status, &Document { id: &id, user: &profile.1 })
}

/// Writes profiles of people whose home is here: to the store, and to those of their sessions that are in memory. Returns for each
/// whether it is new.
pub async fn set(app: &App, profiles: &[(UserId, User)]) -> Result<Vec<bool>, Problem> {
    let new = patiently(app.store.put_users(profiles)).await?;
    for (id, user) in profiles {
        app.sessions.set_profile(id, user).await?;
        // Whoever took the person over meanwhile may have read the old one.
        if app.membership.home(id) != Home::Here {
            return Err(forward::nobody("owner: it moved on meanwhile", None));
        }
    }
    Ok(new)
}

/// The profile; an empty one for a person who is known by events only.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id(&request, UserId::new)?;
    let user = patiently(app.store.user(&id)).await?.ok_or_else(|| Problem::unknown("user", &id))?;
    around::json(StatusCode::OK, &Document { id: &id, user: &user })
}

/// How long an erasure waits for what the person did before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take in all.
pub const ERASED_WITHIN: Duration = Duration::from_secs(10);

/// Erases the person everywhere. What was accepted before is applied first, or it would bring the person back.
pub async fn delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = id(&request, UserId::new)?;
    let settled = tokio::time::timeout(PATIENCE, app.bus.settled(&id)).await;
    settled.map_err(|_| Problem::overloaded("Accepted events are not applied yet", Duration::from_secs(1)))??;
    if let Some(quarantine) = &app.quarantine {
        quarantine.forget(&id).await?;
    }
    match app.sessions.erase(&id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Problem::unknown("user", &id)),
    }
}
