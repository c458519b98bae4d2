//! The audit log: what was done through the console leaves a line, whatever came of it; and the lines so far.

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode, web::Data};
use foryou_actors::ports::audit::{AuditLine, Outcome};
use serde_json::{Value, json};

use crate::{
    access::{Caller, Deed},
    app::App,
    error::Problem,
    http::{around::json, input::Query, login::peer},
};

/// Notes what `caller` did, `action` on `on`, and how it ended; gives the result back.
pub async fn noted<T>(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    (action, on): (&str, &str),
    done: Result<T, Problem>,
) -> Result<T, Problem> {
    let detail = done.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let outcome = match &done {
        Ok(_) => Outcome::Done,
        Err(problem) if problem.status_code().is_client_error() => Outcome::Refused,
        Err(_) => Outcome::Failed,
    };
    app.audit.note(caller, &peer(request), Deed { action, on, outcome, detail: &detail }).await;
    done
}

/// `GET /admin/api/audit`: the newest lines first, those before the one with the id `before` where that is given.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let before = query.take("before", |text| Ok(text.to_owned()));
    let limit = query.limit();
    query.finish()?;
    let lines = app.audit.latest(before.as_deref(), limit).await?;
    json(StatusCode::OK, &json!({"lines": lines.iter().map(line).collect::<Vec<_>>()}))
}

fn line(line: &AuditLine) -> Value {
    json!({
        "id": line.id, "at": line.at, "who": line.who, "from": line.from, "action": line.action, "on": line.on,
        "outcome": line.outcome.word(), "detail": line.detail,
    })
}
