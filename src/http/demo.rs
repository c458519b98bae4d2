//! `/demo`: a feed to feel in the browser, the people to be, and what the crowd does. The page itself speaks to the feed socket.

use std::collections::BTreeSet;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::{self, Data},
};
use foryou_actors::{catalogue::Catalogue, ports::store::StoreError, services::membership::Home};
use foryou_schemas::UserId;
use futures_util::future::join_all;
use rand::{Rng, seq::SliceRandom};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{around::json, assets, route, table::Table};
use crate::{
    access::{Access, Scope},
    app::App,
    config,
    error::Problem,
    http::input::Query,
    telemetry::history::FINE,
};

/// Profiles, or events, that are looked at for people to be.
const LOOKED_AT: usize = 50_000;
/// People that are kept of those.
const KEPT: usize = 512;
/// People that are looked at for each page, and those that it is given.
const CANDIDATES: usize = 24;
const OFFERED: usize = 6;
/// Who did less is no example of a taste.
const EXPOSURES: u32 = 10;
/// Categories that tell a taste.
const FAVOURITES: usize = 3;
/// Seconds of the crowd's past.
const PAST: usize = 60;

/// Whether there is a demo, and who there is to be.
pub struct Demo {
    on: bool,
    people: OnceCell<Vec<UserId>>,
}

impl Demo {
    /// As configured; `open` says that the server is reached over loopback only and checks nobody.
    pub fn new(mode: config::Demo, open: bool) -> Self {
        let on = match mode {
            config::Demo::Auto => open,
            config::Demo::On => true,
            config::Demo::Off => false,
        };
        Self { on, people: OnceCell::new() }
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.on
    }
}

/// The routes. What they tell of people is for whoever may ask for anybody's feed.
pub fn routes(web: &mut Table) {
    route(web, "/demo", [(Method::GET, Access::Open, web::to(page))]);
    route(web, "/demo/start", [(Method::GET, Access::Scope(Scope::Feed), web::to(start))]);
    route(web, "/demo/crowd", [(Method::GET, Access::Scope(Scope::Feed), web::to(crowd))]);
}

fn on(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    if app.demo.on { Ok(()) } else { Err(Problem::no_route(request.path())) }
}

async fn page(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    on(&app, &request)?;
    assets::page(&request, "demo/body.html")
}

/// Somebody to be.
#[derive(Serialize)]
struct Person {
    user: UserId,
    /// Videos that came before them.
    exposures: u32,
    followed: usize,
    /// Categories that they enjoy most.
    favourites: Vec<Box<str>>,
}

/// `GET /demo/start`: people to choose from, and an id for somebody new.
async fn start(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    on(&app, &request)?;
    Query::of(&request).finish()?;
    let release = app.feeds.models.current().map(|serving| serving.release.manifest.id.clone());
    let videos = app.live.catalogue().len();
    json(
        StatusCode::OK,
        &json!({
            "people": offered(&app).await?,
            "new": somebody_new(&app),
            "release": release,
            "videos": videos,
            "coalesce_ms": app.config.sockets.coalesce_ms,
            "node": app.membership.name(),
        }),
    )
}

/// `GET /demo/crowd`: what everybody does, each second of the last minute, and how soon feeds reflect it.
async fn crowd(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    on(&app, &request)?;
    Query::of(&request).finish()?;
    let history = app.observatory.history().ok_or_else(|| Problem::unready(vec!["the server is starting".into()]))?;
    let past = |name: &str| {
        let series = history.excerpt(FINE, [name].into_iter()).series.pop();
        let mut values = series.map(|series| series.values).unwrap_or_default();
        values.drain(..values.len().saturating_sub(PAST));
        values
    };
    json(
        StatusCode::OK,
        &json!({
            "events": past("events.accepted"),
            "feeds": past("feed.rate"),
            "fresh_ms": past("freshness.p50").into_iter().flatten().last(),
            "feed_ms": past("feed.p50").into_iter().flatten().last(),
            "people": app.sessions.stats().resident,
            "sockets": app.sockets.count(),
        }),
    )
}

/// People with a taste of their own, as different as the ones at hand are.
async fn offered(app: &App) -> Result<Vec<Person>, Problem> {
    let mut people = app.demo.people.get_or_try_init(|| some_people(app)).await?.clone();
    people.shuffle(&mut rand::rng());
    people.retain(|user| app.membership.home(user) == Home::Here);
    people.truncate(CANDIDATES);
    let mut people = looked_at(app, people).await;
    people.retain(|person| person.exposures >= EXPOSURES);
    let mut known = BTreeSet::new();
    // A stable sort: first one of each taste, then the others.
    people.sort_by_cached_key(|person| !known.insert(person.favourites.first().cloned()));
    people.truncate(OFFERED);
    Ok(people)
}

/// Some of the people that the store knows, each as likely as the others among those that are looked at.
async fn some_people(app: &App) -> Result<Vec<UserId>, Problem> {
    let mut sample = Sample::default();
    let all = app.store.scan_users(&mut |(user, _)| sample.take(user)).await;
    all.or_else(|error| if sample.looked >= LOOKED_AT { Ok(()) } else { Err(error) })?;
    if sample.kept.is_empty() {
        // Nobody has a profile: those who did something.
        let all = app.store.scan_activity(&mut |activity| sample.take(activity.event.user)).await;
        all.map(|_| ()).or_else(|error| if sample.looked >= LOOKED_AT { Ok(()) } else { Err(error) })?;
    }
    Ok(sample.kept)
}

/// A reservoir: of all that are looked at, each is kept as likely as the others.
#[derive(Default)]
struct Sample {
    looked: usize,
    people: usize,
    latest: Option<UserId>,
    kept: Vec<UserId>,
}

impl Sample {
    /// An error ends the scan: enough was seen.
    fn take(&mut self, user: UserId) -> Result<(), StoreError> {
        if self.looked >= LOOKED_AT {
            return Err(StoreError::Away("enough people were looked at".into()));
        }
        self.looked += 1;
        // Activity comes grouped by person.
        if self.latest.as_ref() == Some(&user) {
            return Ok(());
        }
        self.latest = Some(user.clone());
        self.people += 1;
        if self.kept.len() < KEPT {
            self.kept.push(user);
        } else if let Some(place) = self.kept.get_mut(rand::rng().random_range(0..self.people)) {
            *place = user;
        }
        Ok(())
    }
}

async fn looked_at(app: &App, people: Vec<UserId>) -> Vec<Person> {
    let (catalogue, now_s) = (app.live.catalogue_full(), app.clock.now().seconds());
    let look = |user: UserId| {
        let catalogue: &Catalogue = &catalogue;
        async move {
            // Without a look at a session there is less to say of the person, and nothing to refuse.
            let state = app.sessions.peek(&user).await.unwrap_or_default();
            let mut tastes: Vec<_> = state.categories.all(now_s).filter(|taste| taste.enjoyed > 0.0).collect();
            tastes.sort_by(|a, b| b.enjoyed.total_cmp(&a.enjoyed));
            let names = tastes.iter().filter_map(|taste| catalogue.categories().name(taste.key).cloned());
            let favourites = names.take(FAVOURITES).collect();
            Person { user, exposures: state.exposures, followed: state.followed.len(), favourites }
        }
    };
    join_all(people.into_iter().map(look)).await
}

/// An id that nobody has, of a person that this node holds.
fn somebody_new(app: &App) -> UserId {
    let mut some = || UserId::new(format!("guest-{:06x}", rand::rng().random_range(0..1 << 24)));
    let ids = std::iter::repeat_with(&mut some).flatten();
    let here = ids.take(1_000).find(|user| app.membership.home(user) == Home::Here);
    here.unwrap_or_else(|| UserId::from_u128(rand::rng().random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_there_for_whom_nobody_checks_unless_it_is_said() {
        use config::Demo as Mode;
        for (mode, open, on) in
            [(Mode::Auto, true, true), (Mode::Auto, false, false), (Mode::On, false, true), (Mode::Off, true, false)]
        {
            assert_eq!(Demo::new(mode, open).is_on(), on, "{mode:?} {open}");
        }
    }

    #[test]
    fn a_sample_holds_everybody_once_and_not_too_many() {
        let mut sample = Sample::default();
        for n in 0..KEPT * 4 {
            for _ in 0..3 {
                sample.take(UserId::new(format!("u{}", n % (KEPT * 2))).unwrap()).unwrap();
            }
        }
        assert_eq!((sample.kept.len(), sample.looked), (KEPT, KEPT * 12));
        let few = (0..5).map(|n| UserId::new(n.to_string()).unwrap());
        let mut sample = Sample::default();
        few.clone().for_each(|user| sample.take(user).unwrap());
        assert_eq!(sample.kept, few.collect::<Vec<_>>());
    }
}
