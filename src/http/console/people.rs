//! People's sessions: by shard, the busiest, and one person opened: what is known of them.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use foryou_actors::{
    catalogue::Catalogue,
    sessions::{
        affinity::Affinities,
        state::{Action, Outcomes, SessionState},
    },
};
use foryou_schemas::UserId;
use serde_json::{Value, json};

use crate::{
    app::App,
    error::Problem,
    feed::mood::Mood,
    http::{
        around::json,
        forward::elsewhere,
        input::{Query, id},
        patience::patiently,
    },
};

/// How many of the busiest sessions are shown.
const BUSIEST: usize = 20;
/// How many of the latest events are shown.
const LATEST: usize = 50;

/// `GET /admin/api/sessions`: shards, and who is busiest.
pub async fn sessions(app: Data<App>) -> Result<HttpResponse, Problem> {
    let sessions = app.sessions.clone();
    let looked = tokio::task::spawn_blocking(move || sessions.look(BUSIEST)).await;
    let (shards, busiest) = looked.map_err(Problem::internal)?;
    let shard = |(number, shard): (usize, &foryou_actors::sessions::ShardStats)| {
        let sessions = &shard.sessions;
        json!({
            "shard": number, "resident": sessions.resident, "bytes": sessions.bytes, "waiting": shard.waiting,
            "woken": sessions.woken, "slept": sessions.slept, "refused": sessions.refused,
            "failed": sessions.load_failures + sessions.crashed,
        })
    };
    let busy = |busy: &foryou_actors::sessions::Busy| {
        json!({
            "user": busy.user, "shard": busy.shard, "messages": busy.messages, "waiting": busy.waiting,
            "idle_ms": busy.idle_ms,
        })
    };
    let shards: Vec<Value> = shards.iter().enumerate().map(shard).collect();
    json(StatusCode::OK, &json!({"shards": shards, "busiest": busiest.iter().map(busy).collect::<Vec<_>>()}))
}

/// A person's session, without waking it: from memory where it is there, else as the store has it.
pub async fn look(app: &App, user: &UserId, here: bool) -> Result<(Arc<SessionState>, bool), Problem> {
    let resident = here && app.sessions.is_resident(user);
    let state = if resident { app.sessions.view(user).await? } else { app.sessions.peek(user).await? };
    Ok((state, resident))
}

/// `GET /admin/api/people/{id}`: what is known of a person.
pub async fn person(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let user = id(&request, UserId::new)?;
    Query::of(&request).finish()?;
    let (state, resident) = look(&app, &user, elsewhere(&request).is_none()).await?;
    let profile = patiently(app.store.user(&user)).await?;
    let history = patiently(app.store.history(&user, LATEST)).await?;
    if profile.is_none() && state.seq == 0 && history.is_empty() {
        return Err(Problem::unknown("user", &user));
    }
    let (catalogue, now_s) = (app.live.catalogue_full(), app.clock.now().seconds());
    let creators = |numbers: &[u32]| -> Vec<Value> {
        numbers.iter().filter_map(|n| Some(json!(catalogue.creators().name(*n)?))).collect()
    };
    let category = |number| catalogue.categories().name(number).map(|name| json!(name));
    let creator = |number| catalogue.creators().name(number).map(|name| json!(name));
    let mood = Mood::of(&state, &catalogue, now_s);
    let mood = mood.each().filter_map(|(number, mood)| Some(json!({"category": category(number)?, "mood": mood})));
    let served = state.served.iter().rev().take(LATEST);
    let served = served.filter_map(|s| Some(json!({"video": catalogue.id(s.video)?, "at_s": s.at_s})));
    json(
        StatusCode::OK,
        &json!({
            "user": user,
            "resident": resident,
            "partition": foryou_actors::ports::bus::partition_of(&user, app.bus.partitions()),
            "profile": profile,
            "seq": state.seq,
            "exposures": state.exposures,
            "visit_depth": state.depth,
            "skips_in_row": state.skips_in_row,
            "last_at_s": state.last_at_s,
            "seen": state.all_seen().count(),
            "bytes": size_of::<SessionState>() + state.heap_bytes(),
            "followed": creators(&state.followed),
            "blocked": creators(&state.blocked),
            "categories": affinities(&state.categories, now_s, category),
            "creators": affinities(&state.creators, now_s, creator),
            "mood": mood.collect::<Vec<_>>(),
            "actions": state.actions.iter().rev().filter_map(|a| action(a, &catalogue)).collect::<Vec<_>>(),
            "served": served.collect::<Vec<_>>(),
            "history": history.iter().map(|activity| &activity.event).collect::<Vec<_>>(),
        }),
    )
}

fn affinities(of: &Affinities, now_s: f64, name: impl Fn(u32) -> Option<Value>) -> Vec<Value> {
    let mut rows: Vec<_> = of.all(now_s).collect();
    rows.sort_by(|a, b| b.enjoyed.total_cmp(&a.enjoyed).then(b.shown.total_cmp(&a.shown)));
    let row = |row: &foryou_actors::sessions::affinity::Affinity| {
        let name = name(row.key)?;
        Some(json!({"name": name, "shown": row.shown, "enjoyed": row.enjoyed, "refused": row.refused}))
    };
    rows.iter().filter_map(row).collect()
}

/// The outcomes by name, in the order in which they may happen.
const OUTCOMES: [(Outcomes, &str); 12] = [
    (Outcomes::VIEW, "view"),
    (Outcomes::LONG_VIEW, "long view"),
    (Outcomes::FINISH, "finish"),
    (Outcomes::REWATCH, "rewatch"),
    (Outcomes::LIKE, "like"),
    (Outcomes::COMMENT, "comment"),
    (Outcomes::SHARE, "share"),
    (Outcomes::FOLLOW, "follow"),
    (Outcomes::SKIP, "skip"),
    (Outcomes::DISLIKE, "dislike"),
    (Outcomes::REPORT, "report"),
    (Outcomes::BLOCK, "block"),
];

fn action(action: &Action, catalogue: &Catalogue) -> Option<Value> {
    let video = catalogue.video(action.video)?;
    let outcomes = OUTCOMES.iter().filter(|(outcome, _)| action.outcomes.any(*outcome)).map(|(_, name)| *name);
    Some(json!({
        "video": catalogue.id(action.video)?,
        "title": video.title,
        "category": video.category,
        "creator": video.creator,
        "at_s": action.at_s,
        "watch_ms": u32::from(action.watch_ds) * 100,
        "duration_ms": video.duration_ms,
        "outcomes": outcomes.collect::<Vec<_>>(),
    }))
}
