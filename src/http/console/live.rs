//! What the page begins with, what it draws its charts from, and the stream that moves them.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Bytes, Data},
};
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{
    access::Caller,
    app::App,
    error::Problem,
    http::{around::json, input::Query},
    telemetry::history::{COARSE, FINE},
};

/// `GET /admin/api/start`: names of the figures, and what does not change while the server runs.
pub async fn start(app: Data<App>, caller: Caller) -> Result<HttpResponse, Problem> {
    let names = app.observatory.history().map(|history| history.names().to_vec()).unwrap_or_default();
    let settings = &app.config;
    json(
        StatusCode::OK,
        &json!({
            "figures": names,
            "caller": caller.named(),
            "csrf": caller.csrf(),
            "node": app.membership.name(),
            "alone": app.membership.is_alone(),
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": app.started_at,
            "now": app.clock.now(),
            "bus": settings.bus.kind,
            "store": settings.store.kind,
            "bus_max_depth": settings.bus.max_depth,
            "session_budget_bytes": u64::from(settings.sessions.budget_mb.get()) << 20,
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "freshness": {
                "objective_ms": settings.console.freshness_objective_ms,
                "window_s": settings.console.freshness_window_s,
            },
        }),
    )
}

/// `GET /admin/api/history?figures=a,b&span=600`: the last 10 minutes each second, or with a longer span the last 6 hours each 10 s.
pub async fn history(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let figures = query.take("figures", |text| Ok(text.to_owned())).unwrap_or_default();
    let span_s: u64 = query.whole("span", 1..=21_600, 600);
    query.finish()?;
    let history = app.observatory.history().ok_or_else(|| Problem::unready(vec!["the server is starting".into()]))?;
    let span = if span_s <= FINE.step_s * FINE.rows as u64 { FINE } else { COARSE };
    json(StatusCode::OK, &history.excerpt(span, figures.split(',')))
}

/// `GET /admin/api/live`: a look each second, as server-sent events, for as long as the client listens and the server runs.
pub async fn live(app: Data<App>) -> Result<HttpResponse, Problem> {
    let watcher = app.observatory.watch();
    let watcher = watcher.ok_or_else(|| Problem::too_many("Too many browsers follow the live figures"))?;
    // The first bytes tell the browser that it is connected, and when to come back after a break.
    let begin = stream::once(async { Ok::<_, actix_web::Error>(Bytes::from_static(b"retry: 1000\n\n")) });
    let looks = stream::unfold(watcher, |mut watcher| async move {
        let look = watcher.next().await?;
        Some((Ok(look), watcher))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(begin.chain(looks)))
}
