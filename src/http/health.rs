//! `GET /healthz` (the process answers), `GET /readyz` (it can do its work, or why not).

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use foryou_actors::ports::bus::Partitions;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    around::json,
    openapi::{Group, Spec},
};
use crate::{app::App, error::Problem};

/// The server can do its work.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
pub struct Ready<'a> {
    ready: bool,
    /// The node that answers.
    node: &'a str,
    holds: Holds,
}

/// Partitions whose people this node answers for.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldPartitions)]
struct Holds {
    count: usize,
    /// As `p00-p31`.
    ranges: Vec<String>,
}

impl From<Partitions> for Holds {
    fn from(held: Partitions) -> Self {
        Self { count: held.len(), ranges: held.ranges() }
    }
}

/// The process answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub struct Alive {
    alive: bool,
}

/// What the document says of the one.
pub fn healthz_spec() -> Spec {
    Spec::new(Group::Operations, "getHealth", "Whether the process answers", "").answers::<Alive>(200, "It does")
}

/// What the document says of the other.
pub fn readyz_spec() -> Spec {
    let about = "For load balancers. 503 names what keeps the server from its work.";
    Spec::new(Group::Operations, "getReadiness", "Whether the server can do its work", about)
        .answers::<Ready<'_>>(200, "It can")
        .refuses(503)
}

/// 200 as long as the process answers at all.
pub async fn healthz() -> Result<HttpResponse, Problem> {
    json(StatusCode::OK, &Alive { alive: true })
}

/// 200, or 503 with the reasons.
pub async fn readyz(app: Data<App>) -> Result<HttpResponse, Problem> {
    let reasons = app.unready();
    match reasons.is_empty() {
        true => {
            let (node, holds) = (app.membership.name(), app.membership.held().into());
            json(StatusCode::OK, &Ready { ready: true, node, holds })
        }
        false => Err(Problem::unready(reasons)),
    }
}
