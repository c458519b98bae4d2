//! `POST /admin/api/services/{id}/restart`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use serde_json::json;

use super::audit::noted;
use crate::{
    access::Caller,
    app::App,
    error::Problem,
    http::{around::json, input::id},
};

/// Ends a service where it stands and starts it again. 202: the supervisor has been told.
pub async fn restart(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = id(&request, Ok)?;
    let done = match app.supervisor.restart(&name) {
        true => Ok(()),
        false => Err(Problem::unknown("service", &name)),
    };
    noted(&app, &caller, &request, ("service restart", &name), done).await?;
    json(StatusCode::ACCEPTED, &json!({"service": name}))
}
