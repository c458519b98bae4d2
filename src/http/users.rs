//! `POST /v1/users`: profiles in bulk.

use actix_web::{HttpResponse, web::Data};
use foryou_schemas::{User, UserId, event::MAX_BATCH, object};

use super::{
    input::Body,
    results::{Outcome, Status, answer},
};
use crate::{app::App, error::Problem};

/// Writes every acceptable profile; a later one of the same person wins.
pub async fn post(app: Data<App>, Body(body): Body) -> Result<HttpResponse, Problem> {
    let elements = object::batch(&body, "users", MAX_BATCH)?;
    let mut users: Vec<(UserId, User)> = Vec::with_capacity(elements.len());
    let results: Vec<Outcome> = elements
        .iter()
        .map(|element| match User::parse_with_id(element.get().as_bytes()) {
            Ok((id, user)) => {
                let outcome = Outcome::of(id.as_str(), Status::Accepted);
                users.push((id, user));
                outcome
            }
            Err(invalid) => Outcome::rejected(element, invalid),
        })
        .collect();
    if !users.is_empty() {
        app.store.put_users(&users).await?;
        for (id, user) in &users {
            app.sessions.set_profile(id, user).await?;
        }
    }
    answer("users", &results)
}
