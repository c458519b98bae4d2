//! `POST /v1/users`: profiles in bulk.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::services::membership::Home;
use foryou_schemas::{User, UserId, event::MAX_BATCH, object};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    forward::{self, Forwarder},
    input::Body,
    openapi::{Group, Spec, refers},
    results::{Answer, Outcome, Status, answer},
    user,
};
use crate::{app::App, error::Problem};

/// Profiles by who has to write them, because he holds the sessions.
#[derive(Default)]
struct Shares<'a> {
    here: Vec<(UserId, User)>,
    /// By node and address.
    there: BTreeMap<(Box<str>, Box<str>), Vec<&'a RawValue>>,
}

#[derive(Serialize)]
struct Share<'a> {
    users: &'a [&'a RawValue],
}

/// What the document says of it.
pub fn spec() -> Spec {
    let about = "Up to 1,000 profiles, each set as by `PUT`. Of several of one person the last counts.";
    Spec::new(Group::People, "postUsers", "Set many profiles", about)
        .reads("The profiles", refers("UserBatch"), json!({"users": [{"id": "u1", "age": 27}]}))
        .answers::<Answer<'_>>(
            202,
            "A result for each profile, in order. Where every one is rejected the answer is 422",
        )
}

/// Writes every acceptable profile; a later one of the same person wins. Where a node that has to write some cannot be asked, the
/// others are written all the same, and the answer is 503: it can be sent again.
pub async fn post(
    app: Data<App>,
    forwarder: Data<Forwarder>,
    request: HttpRequest,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let elements = object::batch(&body, "users", MAX_BATCH)?;
    let mut shares = Shares::default();
    let mut results = Vec::with_capacity(elements.len());
    for element in &elements {
        match User::parse_with_id(element.get().as_bytes()) {
            Ok((id, user)) => {
                results.push(Outcome::of(id.as_str(), Status::Accepted));
                match app.membership.home(&id) {
                    Home::Here => shares.here.push((id, user)),
                    Home::There { node, address } => shares.there.entry((node, address)).or_default().push(element),
                    Home::Nobody { reason } => return Err(forward::nobody(&reason, None)),
                }
            }
            Err(invalid) => results.push(Outcome::rejected(element, invalid)),
        }
    }
    if let Some(sender) = forward::sender(request.headers())
        && !shares.there.is_empty()
    {
        return Err(forward::nobody(&forward::disagree(sender, &app), None));
    }
    let here = async {
        match shares.here.is_empty() {
            true => Ok(()),
            false => user::set(&app, &shares.here).await.map(drop),
        }
    };
    let there = shares.there.iter().map(|((node, address), users)| {
        let (app, forwarder, request) = (&app, &forwarder, &request);
        async move {
            let body = serde_json::to_vec(&Share { users }).map_err(Problem::internal)?;
            let limit = app.config.cluster.forward_timeout_ms.millis();
            match forwarder.post(address, "/v1/users", request, body, limit).await {
                Ok(StatusCode::ACCEPTED) => Ok(()),
                Ok(status) => Err(Problem::away("The node that holds some of these users refused them", status)),
                Err(error) => Err(forward::nobody(&forward::silent(node), Some(error))),
            }
        }
    });
    let (here, there) = tokio::join!(here, join_all(there));
    std::iter::once(here).chain(there).collect::<Result<(), Problem>>()?;
    answer("users", &results)
}
