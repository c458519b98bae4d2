//! The face of feeds towards the rest of the server: a person's id in, a dressed feed out.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::{DEFAULT_SURFACE, Live},
    services::writer::FeatureWriter,
    sessions::{Sessions, state::SessionState, state::event_hash},
};
use foryou_schemas::{Country, EventId, Explain, Feed, FeedItem, UserId};

use super::{
    candidate::Candidate,
    counts::Counts,
    impression::ServedFeed,
    pipeline::{Made, Pipeline},
    request::{Parts, Request},
    stages::{Stage, StageTimes},
    trends::{Popular, Trends},
};
use crate::{
    clock::{Clock, Ids},
    config,
    models::{Models, Serving},
    telemetry::Freshness,
    window::Window,
};

/// What is asked of [`Feeds::feed`].
pub struct FeedRequest {
    /// Whose feed.
    pub user: UserId,
    /// How many videos, 1–100.
    pub limit: usize,
    /// Wait until this event is applied, for so long.
    pub after: Option<(EventId, Duration)>,
    /// Whether each item tells its story.
    pub explain: bool,
    /// Where in the app the feed is shown.
    pub surface: Option<Box<str>>,
    /// Where the person is now.
    pub country: Option<Country>,
    /// Why the person's session is not to be asked: this node does not hold it, and who does cannot answer. The feed is made from
    /// what the store has, and no session hears of it.
    pub elsewhere: Option<Box<str>>,
}

/// Makes feeds.
pub struct Feeds {
    /// Catalogue and statistics.
    pub live: Arc<Live>,
    /// Everybody's session.
    pub sessions: Sessions,
    /// The release that serves.
    pub models: Arc<Models>,
    /// What is popular.
    pub popular: Arc<Popular>,
    /// Takes the impression log.
    pub writer: FeatureWriter,
    /// As configured.
    pub settings: Arc<config::Feed>,
    /// The stages.
    pub pipeline: Pipeline,
    /// Tells the time.
    pub clock: Clock,
    /// Gives feeds their ids.
    pub ids: Ids,
    /// What is counted.
    pub counts: Counts,
    /// How soon feeds reflect events.
    pub freshness: Arc<Freshness>,
}

impl Feeds {
    /// A feed. It always succeeds: what fails is left out and said in `degraded`.
    pub async fn feed(&self, asked: FeedRequest) -> Feed {
        let (mut times, asked_at) = (StageTimes::start(), Instant::now());
        let (session, mut degraded) = match &asked.elsewhere {
            Some(reason) => self.stored_session(&asked, reason).await,
            None => self.session(&asked).await,
        };
        times.end(Stage::Session);
        let reflected = self.freshness.read(&asked.user, &session, asked_at);
        let (id, now) = (self.ids.feed(), self.clock.now());
        let request = Request::new(Parts {
            session,
            live: self.live.clone(),
            release: self.models.current(),
            trends: self.popular.current(),
            now,
            surface: self.live.surface(asked.surface.as_deref()),
            country: asked.country,
            limit: asked.limit,
            seed: event_hash(id.as_str()),
            explore: true,
            settings: self.settings.clone(),
        });
        let (request, made) = self.pipeline.run(request).await;
        degraded.extend(made.degraded.iter().cloned());
        let release = release_name(request.release.as_deref());
        let answer = Instant::now();
        let surface = asked.surface.as_deref().unwrap_or(DEFAULT_SURFACE);
        let record = ServedFeed::new(&request, &release, surface, &made.items, &made.features);
        self.writer.log_impression(record.stored(asked.user.clone(), id.clone(), now));
        if asked.elsewhere.is_none() {
            self.sessions.served(&asked.user, made.items.iter().map(|item| item.video).collect(), now);
        }
        let items = dress(&request, &made, asked.explain);
        self.freshness.answered(reflected);
        self.counts.feed(&times, &made, answer.elapsed(), &degraded);
        let took_ms = (times.since_start().as_secs_f64() * 1e6).round() / 1e3;
        Feed { feed: id, user: asked.user, release, took_ms, degraded, items }
    }

    /// The feed that `session` would get now, with everything about how it came to be. Nothing is recorded or counted, and nothing is
    /// left to chance: exploration gives no slot away.
    pub async fn preview(
        &self,
        user: UserId,
        session: Arc<SessionState>,
        limit: usize,
        surface: Option<&str>,
        country: Option<Country>,
    ) -> (Feed, Request, Made) {
        let began = Instant::now();
        let (id, now) = (self.ids.feed(), self.clock.now());
        let request = Request::new(Parts {
            session,
            live: self.live.clone(),
            release: self.models.current(),
            trends: self.popular.current(),
            now,
            surface: self.live.surfaces().find(surface.unwrap_or(DEFAULT_SURFACE)).unwrap_or(0) as u16,
            country,
            limit,
            seed: event_hash(id.as_str()),
            explore: false,
            settings: self.settings.clone(),
        });
        let (request, made) = self.pipeline.run(request).await;
        let (items, release) = (dress(&request, &made, true), release_name(request.release.as_deref()));
        let took_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        (Feed { feed: id, user, release, took_ms, degraded: made.degraded.clone(), items }, request, made)
    }

    /// Videos near another, nearest first; without models, others of its category.
    pub fn similar(&self, video: VideoIndex, limit: usize) -> Vec<(VideoIndex, f32)> {
        let near = self.models.current().map(|s| s.similar(video, limit, |_| true)).unwrap_or_default();
        if !near.is_empty() {
            return near.into_iter().map(|hit| (hit.item, hit.score)).collect();
        }
        let catalogue = self.live.catalogue();
        let category = catalogue.entry(video).map_or(&[][..], |entry| catalogue.of_category(entry.category));
        let live = |v: &&VideoIndex| **v != video && catalogue.entry(**v).is_some_and(|e| e.live);
        category.iter().rev().filter(live).take(limit).map(|v| (*v, 0.0)).collect()
    }

    /// Videos that many people enjoy now, best first. A country from which nothing came yet has no list of its own.
    pub fn trending(
        &self,
        limit: usize,
        country: Option<Country>,
        category: Option<&str>,
        window: Option<Window>,
    ) -> Vec<(VideoIndex, f32)> {
        let (catalogue, window) = (self.live.catalogue_full(), window.unwrap_or_default().index());
        let number = category.map(|name| catalogue.categories().find(name));
        let filed = |video: &VideoIndex| match number {
            None => true,
            Some(number) => catalogue.entry(*video).is_some_and(|entry| Some(entry.category) == number),
        };
        let trends = self.popular.current();
        let local = country.and_then(|c| trends.countries.get(&c.bytes()));
        let mut list: Vec<_> = match (local, number) {
            (Some(local), _) => local[window].iter().copied().filter(|(video, _)| filed(video)).collect(),
            (None, Some(None)) => Vec::new(),
            (None, Some(Some(category))) => {
                Trends::of_category(&self.live, &catalogue, category, window, self.clock.now())
            }
            (None, None) => trends.everywhere[window].clone(),
        };
        list.truncate(limit);
        list
    }

    async fn session(&self, asked: &FeedRequest) -> (Arc<SessionState>, Vec<String>) {
        let wait = asked.after.as_ref().map_or(Duration::ZERO, |(_, wait)| *wait);
        let view = async {
            match &asked.after {
                Some((event, wait)) => self.sessions.view_after(&asked.user, event, *wait).await,
                None => self.sessions.view(&asked.user).await.map(|state| (state, true)),
            }
        };
        match tokio::time::timeout(self.settings.session_budget_ms.millis() + wait, view).await {
            Ok(Ok((state, true))) => (state, Vec::new()),
            Ok(Ok((state, false))) => (state, vec![format!("after: not applied in {} ms", wait.as_millis())]),
            Ok(Err(error)) => (Arc::default(), vec![format!("session: {error}")]),
            Err(_) => (Arc::default(), vec!["session: timeout".to_owned()]),
        }
    }

    /// The session as the store has it, and why that has to do.
    async fn stored_session(&self, asked: &FeedRequest, reason: &str) -> (Arc<SessionState>, Vec<String>) {
        let mut degraded = vec![reason.to_owned()];
        let peek = async {
            let state = self.sessions.peek(&asked.user).await?;
            match &asked.after {
                Some((event, _)) if !state.applied_lately(event_hash(event.as_str())) => {
                    // Applied so long ago that the session forgot the id, or since it was read.
                    match self.sessions.is_stored(event).await {
                        true => self.sessions.peek(&asked.user).await.map(|state| (state, true)),
                        false => Ok((state, false)),
                    }
                }
                _ => Ok((state, true)),
            }
        };
        let (state, fell_back) = match tokio::time::timeout(self.settings.session_budget_ms.millis(), peek).await {
            Ok(Ok((state, true))) => (state, None),
            Ok(Ok((state, false))) => (state, Some("after: not in the store yet".to_owned())),
            Ok(Err(error)) => (Arc::default(), Some(format!("session: {error}"))),
            Err(_) => (Arc::default(), Some("session: timeout".to_owned())),
        };
        degraded.extend(fell_back);
        (state, degraded)
    }
}

fn release_name(serving: Option<&Serving>) -> String {
    serving.map_or_else(|| "none".to_owned(), |serving| serving.release.manifest.id.clone())
}

fn dress(request: &Request, made: &Made, explain: bool) -> Vec<FeedItem> {
    let catalogue: &Catalogue = &request.catalogue;
    let items =
        made.items.iter().filter_map(|item| Some((item, catalogue.id(item.video)?, catalogue.video(item.video)?)));
    items
        .zip(0..)
        .map(|((item, id, video), position)| FeedItem {
            video: id.clone(),
            position,
            score: item.score,
            source: item.sources.first().map_or("", |source| source.name()),
            explore: item.explore,
            propensity: item.propensity,
            creator: video.creator.clone(),
            category: video.category.clone(),
            duration_ms: video.duration_ms,
            title: video.title.clone(),
            explain: explain.then(|| story(request, made, item)),
        })
        .collect()
}

fn story(request: &Request, made: &Made, item: &Candidate) -> Explain {
    let heads = request.release.iter().flat_map(|serving| &serving.release.manifest.heads);
    let mut outcomes: BTreeMap<String, f32> = heads.cloned().zip(item.outcomes.iter().copied()).collect();
    outcomes.insert("watch_ms".into(), item.watch_ms);
    let found = format!("sources: rank {} of {}", item.rank + 1, item.sources.first().map_or("", |s| s.name()));
    let ranked = match item.outcomes.is_empty() {
        true => "ranker: not ranked, by retrieval order".to_owned(),
        false => format!("ranker: one of {}", made.ranked),
    };
    let chosen = match item.explore {
        true => format!("exploration: drawn with propensity {:.4}", item.propensity),
        false => format!("diversity: {:.4} left of the utility", item.score),
    };
    Explain {
        sources: item.sources.iter().map(|source| source.name()).collect(),
        outcomes,
        stages: vec![found, "filters: kept".into(), ranked, format!("utility: {:.4}", item.utility), chosen],
    }
}
