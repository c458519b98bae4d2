//! The feed inspector, why feeds fell back, and how fresh they are.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::histogram::Spread;
use foryou_schemas::{Country, Timestamp, UserId, VideoId, id::check_id};
use serde_json::{Value, json};

use super::people::look;
use crate::{
    app::App,
    error::Problem,
    features::REGISTRY,
    feed::{Look, Preview},
    http::{
        around::json,
        feed::known,
        forward::elsewhere,
        input::{Query, id},
    },
};

/// `GET /admin/api/people/{id}/feed`: what would be recommended now, and why. Nothing is recorded: to look changes nothing.
pub async fn inspect(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let look = asked(&app, &request, Query::of(&request)).await?;
    let Preview { feed, request, made } = app.feeds.preview(look).await;
    let features = |row: Option<usize>| -> Value {
        let values = row.map(|row| made.features.row(row)).unwrap_or_default();
        let named = REGISTRY.iter().zip(values).filter(|(_, value)| value.is_finite());
        named.map(|(feature, value)| (feature.name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    };
    let items = feed.items.iter().zip(&made.items).map(|(item, candidate)| {
        json!({
            "item": item,
            "mood": request.mood.at(candidate.entry.category),
            "features": features(candidate.row),
        })
    });
    let laps = made.times.laps().filter(|(_, took)| !took.is_zero());
    let mut removed: Vec<(&str, usize)> = Vec::new();
    for (_, filter) in &made.removed {
        match removed.iter_mut().find(|(name, _)| name == filter) {
            Some((_, count)) => *count += 1,
            None => removed.push((filter, 1)),
        }
    }
    json(
        StatusCode::OK,
        &json!({
            "user": feed.user,
            "release": feed.release,
            "took_ms": feed.took_ms,
            "degraded": feed.degraded,
            "stages": laps.map(|(stage, took)| json!({"stage": stage.name(), "ms": took.as_secs_f64() * 1e3})).collect::<Vec<_>>(),
            "sources": made.found.iter().map(|(kind, found)| json!({"source": kind.name(), "found": found})).collect::<Vec<_>>(),
            "removed": removed.iter().map(|(filter, count)| json!({"filter": filter, "count": count})).collect::<Vec<_>>(),
            "ranked": made.ranked,
            "about": REGISTRY.iter().map(|f| (f.name.to_owned(), json!(f.about))).collect::<serde_json::Map<_, _>>(),
            "items": items.collect::<Vec<_>>(),
        }),
    )
}

/// `GET /admin/api/people/{id}/feed/why`: why a video is not in that feed, or where it is.
pub async fn why(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let video = query.need("video", |text| VideoId::new(text));
    let look = asked(&app, &request, query).await?;
    let (video, number) = known(&app, video)?;
    let why = app.feeds.why(look, number).await.map_err(Problem::internal)?;
    json(StatusCode::OK, &why.ok_or_else(|| Problem::unknown("video", video))?)
}

/// What is asked, with the session as it is: to look wakes nobody.
async fn asked(app: &App, request: &HttpRequest, mut query: Query) -> Result<Look, Problem> {
    let user = id(request, UserId::new)?;
    let limit = query.limit();
    let surface = query.take("surface", |text| check_id(text).map(|()| text.into()));
    let country = query.take("country", Country::parse);
    query.finish()?;
    let (session, _) = look(app, &user, elsewhere(request).is_none()).await?;
    Ok(Look { user, session, limit, surface, country })
}

/// `GET /admin/api/degraded`: the reasons why feeds fell back, word for word.
pub async fn degraded(app: Data<App>) -> Result<HttpResponse, Problem> {
    let reasons = app.feeds.counts.reasons().into_iter().map(|(text, reason)| {
        let last = reason.last.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
        json!({"reason": text, "count": reason.count, "last": Timestamp::from_millis(last as i64)})
    });
    json(StatusCode::OK, &json!({"reasons": reasons.collect::<Vec<_>>()}))
}

/// `GET /admin/api/freshness`: how the delay is spread, over the objective's window and since the start.
pub async fn freshness(app: Data<App>) -> Result<HttpResponse, Problem> {
    let (within, since_start) = (app.objective.within(), app.feeds.freshness.delay().spread());
    json(
        StatusCode::OK,
        &json!({
            "objective_ms": app.objective.limit().as_millis() as u64,
            "window_s": app.objective.window().as_secs(),
            "kept": app.objective.broken().is_none(),
            "stale": app.feeds.freshness.stale(),
            "watched": app.feeds.freshness.watched(),
            "within": spread(&within),
            "since_start": spread(&since_start),
        }),
    )
}

fn spread(spread: &Spread) -> Value {
    let ms = |q| spread.quantile(q).map(|s| s * 1e3);
    json!({
        "count": spread.count(), "p50_ms": ms(0.5), "p90_ms": ms(0.9), "p99_ms": ms(0.99),
        "bounds_ms": spread.bounds_s.iter().map(|s| s * 1e3).collect::<Vec<_>>(),
        "counts": spread.counts,
    })
}
