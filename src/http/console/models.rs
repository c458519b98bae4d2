//! Model releases: the list with what each reached, which one serves, another one made live; and the index of the one that serves.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_schemas::Timestamp;
use serde_json::{Value, json};

use super::audit::noted;
use crate::{
    access::Caller,
    app::App,
    error::Problem,
    http::{around::json, input::id},
    models::{ModelError, recall, shelf::Shelved},
    training::runs,
};

fn problem(error: ModelError) -> Problem {
    match error {
        ModelError::Unknown(id) => Problem::unknown("release", id),
        ModelError::NoneBefore | ModelError::NoneActive | ModelError::Refused { .. } => Problem::conflict(error),
        ModelError::Away(_) => Problem::away("The releases cannot be reached now", error),
        error => Problem::internal(error),
    }
}

/// `GET /admin/api/releases`.
pub async fn releases(app: Data<App>) -> Result<HttpResponse, Problem> {
    let described = app.shelf.list().await.map_err(problem)?.into_iter().map(|Shelved { summary, manifest }| {
        json!({
            "summary": summary,
            "bytes": manifest.files.values().map(|file| file.bytes).sum::<u64>(),
            "heads": manifest.heads,
            "features": manifest.feature_count,
            "vector_len": manifest.vector_len,
        })
    });
    let described: Vec<Value> = described.collect();
    let serving = app.feeds.models.current().map(|serving| serving.release.manifest.id.clone());
    json(StatusCode::OK, &json!({"serving": serving, "releases": described}))
}

/// `POST /admin/api/releases/{id}/activate`: every node swaps to it within seconds.
pub async fn activate(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let release = id(&request, Ok)?;
    let done = app.shelf.activate(&release).await.map_err(problem);
    noted(&app, &caller, &request, ("release activate", &release), done).await?;
    json(StatusCode::OK, &json!({"release": release}))
}

/// `POST /admin/api/rollback`: back to the release that was live before.
pub async fn rollback(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let done = app.shelf.rollback().await.map_err(problem);
    let on = done.as_ref().map_or("", String::as_str).to_owned();
    let release = noted(&app, &caller, &request, ("release rollback", &on), done).await?;
    json(StatusCode::OK, &json!({"release": release}))
}

/// `GET /admin/api/index`: the segments of the index that serves.
pub async fn index(app: Data<App>) -> Result<HttpResponse, Problem> {
    let serving = app.feeds.models.current();
    let catalogue = app.live.catalogue_full();
    let live = tokio::task::spawn_blocking(move || {
        (0..catalogue.len() as u32).filter(|video| catalogue.entry(*video).is_some_and(|entry| entry.live)).count()
    });
    let live = live.await.map_err(Problem::internal)?;
    json(
        StatusCode::OK,
        &json!({
            "release": serving.as_ref().map(|serving| serving.release.manifest.id.clone()),
            "index": serving.map(|serving| serving.index_stats()),
            "videos": app.live.catalogue().len(),
            "live": live,
        }),
    )
}

/// How many sessions' vectors are searched for with and without the graph.
const SAMPLED: usize = 24;
/// Recall is measured for as many neighbours as the source asks for.
const NEIGHBOURS: usize = 100;

/// `GET /admin/api/index/recall`: how much of the true best the index finds, for the vectors of some people in memory. Looks at every
/// video for each of them, on a thread of its own; one measurement at a time.
pub async fn measure(app: Data<App>) -> Result<HttpResponse, Problem> {
    let _one = app.measuring.try_lock().map_err(|_| Problem::too_many("A measurement is under way"))?;
    let Some(serving) = app.feeds.models.current() else {
        return Err(Problem::conflict("no release serves, so there is no index"));
    };
    let (_, busiest) = {
        let sessions = app.sessions.clone();
        tokio::task::spawn_blocking(move || sessions.look(SAMPLED)).await.map_err(Problem::internal)?
    };
    let mut sessions = Vec::new();
    for busy in busiest {
        // One that just left is not missed.
        sessions.extend(app.sessions.view(&busy.user).await.ok());
    }
    let (catalogue, now_s) = (app.live.catalogue_full(), app.clock.now().seconds());
    let measured = tokio::task::spawn_blocking(move || {
        let people = sessions.iter().map(|session| serving.user_vector(session, &catalogue, now_s));
        let vectors: Vec<Vec<f32>> = people.filter_map(Result::ok).collect();
        recall::measure(&serving, &catalogue, vectors, SAMPLED, NEIGHBOURS)
    });
    let measured = measured.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    json(StatusCode::OK, &json!({"at": Timestamp::now(), "measured": measured}))
}

/// `GET /admin/api/training`: the run under way, and those that ended.
pub async fn training(app: Data<App>) -> Result<HttpResponse, Problem> {
    let data = app.config.data.dir.clone();
    let read = tokio::task::spawn_blocking(move || runs::read(&data)).await;
    let (current, ended) = read.map_err(Problem::internal)?;
    json(StatusCode::OK, &json!({"current": current, "runs": ended}))
}
