//! Events that can never be applied: the list, and what becomes of one.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::ports::quarantine::{Quarantine, Rejected};
use serde_json::{Value, json};

use super::audit::noted;
use crate::{
    access::Caller,
    app::App,
    error::Problem,
    http::{
        around::json,
        input::{Query, id},
    },
};

/// `GET /admin/api/quarantine`: the latest first, those before the one with the id `before` where that is given.
pub async fn list(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let before = query.take("before", |text| text.parse().map_err(|_| format!("must be a number, not {text:?}")));
    let limit = query.limit();
    query.finish()?;
    let Some(kept) = app.bus.kept_aside() else {
        let elsewhere =
            format!("RabbitMQ keeps rejected events in its queue {}.quarantine.", app.config.bus.rabbitmq.name);
        return json(StatusCode::OK, &json!({"count": 0, "events": [], "elsewhere": elsewhere}));
    };
    let events = kept.latest(before, limit).await?;
    json(StatusCode::OK, &json!({"count": kept.count(), "events": events.iter().map(told).collect::<Vec<_>>()}))
}

fn told(event: &Rejected) -> Value {
    json!({
        "id": event.id, "partition": event.partition, "redelivered": event.redelivered, "reason": event.reason,
        "payload": String::from_utf8_lossy(&event.payload),
    })
}

/// `POST /admin/api/quarantine/{id}/replay`: published again as it came.
pub async fn replay(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (name, number) = named(&request)?;
    let done = match number {
        Some(number) => kept(&app)?.replay(number).await.map_err(Problem::from).and_then(|there| known(there, &name)),
        None => known(false, &name),
    };
    noted(&app, &caller, &request, ("event replay", &name), done).await?;
    json(StatusCode::OK, &json!({"id": name}))
}

/// `POST /admin/api/quarantine/{id}/discard`: forgotten for good.
pub async fn discard(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (name, number) = named(&request)?;
    let done = match number {
        Some(number) => kept(&app)?.discard(number).await.map_err(Problem::from).and_then(|there| known(there, &name)),
        None => known(false, &name),
    };
    noted(&app, &caller, &request, ("event discard", &name), done).await?;
    json(StatusCode::OK, &json!({"id": name}))
}

fn named(request: &HttpRequest) -> Result<(String, Option<u64>), Problem> {
    let name = id(request, Ok)?;
    let number = name.parse().ok();
    Ok((name, number))
}

fn kept(app: &App) -> Result<&dyn Quarantine, Problem> {
    app.bus.kept_aside().ok_or_else(|| Problem::conflict("RabbitMQ keeps rejected events; settle them there."))
}

fn known(there: bool, id: &str) -> Result<(), Problem> {
    if there { Ok(()) } else { Err(Problem::unknown("rejected event", id)) }
}
