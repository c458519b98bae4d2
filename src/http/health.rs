//! `GET /healthz` (the process answers), `GET /readyz` (it can do its work, or why not).

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde::Serialize;

use super::around::json;
use crate::{app::App, error::Problem};

#[derive(Serialize)]
struct Ready {
    ready: bool,
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
        true => json(StatusCode::OK, &Ready { ready: true }),
        false => Err(Problem::unready(reasons)),
    }
}
