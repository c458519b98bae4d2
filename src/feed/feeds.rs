//! The face of feeds towards the rest of the server: a person's id in, a dressed feed out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    live::{DEFAULT_SURFACE, Live},
    services::writer::FeatureWriter,
    sessions::{Sessions, state::SessionState, state::event_hash},
};
use foryou_schemas::{Country, EventId, Feed, FeedItem, Timestamp, UserId, VideoId, Why};
use tokio::task::{JoinError, spawn_blocking};
use tracing::{Instrument, Span, field::Empty};

use super::{
    counts::Counts,
    impression::ServedFeed,
    pipeline::{Made, Pipeline},
    request::{Parts, Request},
    stages::{Stage, StageTimes},
    story,
    trends::{Popular, Trends},
};
use crate::{
    clock::{Clock, Ids},
    config,
    models::{Models, Serving},
    telemetry::{Freshness, TRACES, traces},
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
    /// What the person's client has and has not shown yet: where the sources find too little, it comes before what is popular.
    pub at_hand: Vec<VideoId>,
    /// Why the person's session is not to be asked: this node does not hold it, and who does cannot answer. The feed is made from
    /// what the store has, and no session hears of it.
    pub elsewhere: Option<Box<str>>,
}

/// What is asked of [`Feeds::preview`].
pub struct Look {
    /// Whose feed.
    pub user: UserId,
    /// The person's session.
    pub session: Arc<SessionState>,
    /// How many videos, 1–100.
    pub limit: usize,
    /// Where in the app the feed would be shown.
    pub surface: Option<Box<str>>,
    /// Where the person is now.
    pub country: Option<Country>,
}

/// A feed that was not served, with everything about how it came to be.
pub struct Preview {
    /// The feed; each item tells its story.
    pub feed: Feed,
    /// What it was made from.
    pub request: Request,
    /// What the stages noted.
    pub made: Made,
}

/// Whether a feed is served, and with what chance.
enum Purpose {
    /// Exploration draws by this seed; the client has some videos already.
    Served { seed: u64, at_hand: Vec<VideoIndex> },
    /// Exploration gives no slot away; the fate of a video may be told.
    Looked { seed: u64, watched: Option<VideoIndex> },
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
        let span = tracing::trace_span!(target: TRACES, "feed", release = Empty, items = Empty, degraded = Empty);
        self.make(asked, &span).instrument(span.clone()).await
    }

    async fn make(&self, asked: FeedRequest, span: &Span) -> Feed {
        let (mut times, asked_at) = (StageTimes::start(), Instant::now());
        let (session, mut degraded) = self.session(&asked).await;
        times.end(Stage::Session);
        let reflected = self.freshness.read(&asked.user, &session, asked_at);
        let (id, now) = (self.ids.feed(), self.clock.now());
        let surface = self.live.surface(asked.surface.as_deref());
        let catalogue = self.live.catalogue();
        let at_hand = asked.at_hand.iter().filter_map(|video| catalogue.find(video)).collect();
        let served = Purpose::Served { seed: event_hash(id.as_str()), at_hand };
        let request = self.request(session, asked.limit, surface, asked.country, now, served);
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
        let items = self.dress(&request, &made, asked.explain);
        self.freshness.answered(reflected);
        let answer = (Stage::Answer, answer, answer.elapsed());
        self.counts.feed(&times, &made, answer.2, &degraded);
        let stages = times.placed().chain(made.times.placed()).chain([answer]);
        traces::over(span, stages.map(|(stage, began, took)| (stage.name(), began, took)));
        span.record("release", &*release).record("items", items.len() as i64);
        if !degraded.is_empty() {
            span.record("degraded", degraded.join("; "));
        }
        let took_ms = millis(times.since_start());
        Feed { feed: id, user: asked.user, release, took_ms, degraded, items }
    }

    /// The feed that a session would get now, with everything about how it came to be. Nothing is recorded or counted, and nothing is
    /// left to chance: exploration gives no slot away, and what is drawn is drawn alike for one person each time.
    pub async fn preview(&self, look: Look) -> Preview {
        self.look(look, None).await
    }

    /// What becomes of a video in the feed of [`preview`](Self::preview). `None` where the catalogue does not know it.
    ///
    /// # Errors
    /// When the telling panics.
    pub async fn why(&self, look: Look, video: VideoIndex) -> Result<Option<Why>, JoinError> {
        let began = Instant::now();
        let preview = self.look(look, Some(video)).await;
        let pipeline = self.pipeline.clone();
        let why = spawn_blocking(move || story::of_watched(&pipeline, preview)).await?;
        Ok(why.map(|why| Why { took_ms: millis(began.elapsed()), ..why }))
    }

    async fn look(&self, look: Look, watched: Option<VideoIndex>) -> Preview {
        let began = Instant::now();
        let Look { user, session, limit, surface, country } = look;
        let (id, now) = (self.ids.feed(), self.clock.now());
        // A surface that nobody asked from yet gets no number by a look.
        let surface = self.live.surfaces().find(surface.as_deref().unwrap_or(DEFAULT_SURFACE)).unwrap_or(0) as u16;
        let looked = Purpose::Looked { seed: event_hash(user.as_str()), watched };
        let request = self.request(session, limit, surface, country, now, looked);
        let (request, made) = self.pipeline.run(request).await;
        // Of a watched video only its own story is told.
        let (items, release) =
            (self.dress(&request, &made, watched.is_none()), release_name(request.release.as_deref()));
        let (degraded, took_ms) = (made.degraded.clone(), millis(began.elapsed()));
        Preview { feed: Feed { feed: id, user, release, took_ms, degraded, items }, request, made }
    }

    fn request(
        &self,
        session: Arc<SessionState>,
        limit: usize,
        surface: u16,
        country: Option<Country>,
        now: Timestamp,
        purpose: Purpose,
    ) -> Request {
        let (seed, explore, at_hand, watched) = match purpose {
            Purpose::Served { seed, at_hand } => (seed, true, at_hand, None),
            Purpose::Looked { seed, watched } => (seed, false, Vec::new(), watched),
        };
        Request::new(Parts {
            session,
            live: self.live.clone(),
            release: self.models.current(),
            trends: self.popular.current(),
            now,
            surface,
            country,
            at_hand,
            limit,
            seed,
            explore,
            watched,
            settings: self.settings.clone(),
        })
    }

    fn dress(&self, request: &Request, made: &Made, explain: bool) -> Vec<FeedItem> {
        let catalogue: &Catalogue = &request.catalogue;
        let items =
            made.items.iter().filter_map(|item| Some((item, catalogue.id(item.video)?, catalogue.video(item.video)?)));
        items
            .zip(0..)
            .map(|((item, id, video), position)| FeedItem {
                video: id.clone(),
                position,
                score: item.score,
                source: item.source(),
                explore: item.explore,
                propensity: item.propensity,
                creator: video.creator.clone(),
                category: video.category.clone(),
                duration_ms: video.duration_ms,
                title: video.title.clone(),
                explain: explain.then(|| story::of_item(&self.pipeline, request, made, item, position as usize)),
            })
            .collect()
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

    /// The session that a feed is made from, and what of it fell back.
    pub async fn session(&self, asked: &FeedRequest) -> (Arc<SessionState>, Vec<String>) {
        match &asked.elsewhere {
            Some(reason) => self.stored_session(asked, reason).await,
            None => self.held_session(asked).await,
        }
    }

    async fn held_session(&self, asked: &FeedRequest) -> (Arc<SessionState>, Vec<String>) {
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

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}
