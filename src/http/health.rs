//! `GET /healthz` (the process answers), `GET /readyz` (it can do its work, or why not).

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use foryou_actors::ports::bus::Partitions;
use serde::Serialize;

use super::around::json;
use crate::{app::App, error::Problem};

#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    node: &'a str,
    holds: Holds,
}

/// Partitions whose people this node answers for.
#[derive(Serialize)]
struct Holds {
    count: usize,
    ranges: Vec<String>,
}

impl From<Partitions> for Holds {
    fn from(held: Partitions) -> Self {
        Self { count: held.len(), ranges: held.ranges() }
    }
}

#[derive(Serialize)]
struct Alive {
    alive: bool,
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
