//! Served feeds looked at again: the features of each, computed from the log as of the moment at which it was served.
//!
//! Each record says up to which event the person's session and the statistics had come, so the engine is brought to exactly
//! that state and asked for the same rows. They come out as they were logged, to the bit, while the log is whole and profiles
//! and videos are as they were: an erased person's events are missing from the statistics, and a changed profile or video is
//! seen as it is now.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    path::Path,
};

use anyhow::Context;
use foryou_actors::{
    ports::store::{FeatureStore, StoreError},
    sessions::state::SessionState,
};
use foryou_schemas::{FeedId, Timestamp, UserId};

use super::{
    log::{Log, Logged},
    world::World,
};
use crate::{
    features::{Inputs, Person, REGISTRY},
    feed::impression::ServedFeed,
    models::{ModelError, Releases, Serving},
};

/// A served feed with its features computed again.
pub struct Replayed<'a> {
    /// Whose feed.
    pub user: &'a UserId,
    /// Its id.
    pub feed: &'a FeedId,
    /// As it was logged.
    pub served: &'a ServedFeed,
    /// The person as they were then.
    pub session: &'a SessionState,
    /// Row-major `[served.items.len(), REGISTRY.len()]`; NaN for unknown.
    pub features: &'a [f32],
}

/// What a replay of served feeds found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Feeds whose features were computed again.
    pub feeds: usize,
    /// Items of these feeds that were logged with features.
    pub rows: usize,
    /// Rows that differ from what was logged in at least one bit.
    pub different: usize,
    /// How many rows differ in a feature, by its name.
    pub features: BTreeMap<&'static str, usize>,
    /// Feeds that were left out: served without models, or by a release that is gone.
    pub without_release: usize,
    /// Feeds that were left out: the log does not lead to the session that they were made from.
    pub without_session: usize,
    /// Events that the statistics once counted and the log no longer has; with any, statistics are near, not the same.
    pub missing_events: u64,
}

/// Replays every feed that was served from `since` on, in the order of the statistics that they read, and shows each to
/// `visit`. Holds their records in memory, about 6 KB each.
pub async fn replay(
    store: &dyn FeatureStore,
    data: &Path,
    since: Option<Timestamp>,
    mut visit: impl FnMut(Replayed<'_>) + Send + 'static,
) -> anyhow::Result<Report> {
    let mut log = Log::read(store, None).await.context("the log could not be read")?;
    let mut feeds = Vec::new();
    store
        .scan_impressions(&mut |impression| {
            if since.is_none_or(|since| impression.at >= since) {
                let served = ServedFeed::decode(&impression.record).map_err(StoreError::Corrupt)?;
                feeds.push(Feed { user: log.number(&impression.user), id: impression.feed, served });
            }
            Ok(())
        })
        .await
        .context("the impression log could not be read")?;
    feeds.sort_by_key(|feed| feed.served.statistics_order);
    let releases = Releases::new(data);
    tokio::task::spawn_blocking(move || again(&log, &feeds, &releases, &mut visit)).await?
}

struct Feed {
    /// Number of the person in the log.
    user: u32,
    id: FeedId,
    served: ServedFeed,
}

fn again(
    log: &Log,
    feeds: &[Feed],
    releases: &Releases,
    visit: &mut dyn FnMut(Replayed<'_>),
) -> anyhow::Result<Report> {
    let (mut report, mut world, mut sessions) = (Report::default(), World::new(log), Sessions::new(log));
    let mut servings: HashMap<&str, Option<Serving>> = HashMap::new();
    let mut applied = 0;
    for Feed { user, id, served } in feeds {
        while let Some(event) = log.events.get(applied).filter(|event| event.order <= served.statistics_order) {
            world.apply(event);
            applied += 1;
        }
        let serving = match servings.entry(&served.release) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(load(releases, &served.release, &world)?),
        };
        let logged = served.items.iter().any(|item| !item.features.is_empty());
        let Some(serving) = serving.as_ref().filter(|_| logged) else {
            report.without_release += 1;
            continue;
        };
        let Some(session) = sessions.at(*user, served.session_seq) else {
            report.without_session += 1;
            continue;
        };
        report.missing_events = report.missing_events.max(served.statistics_order.saturating_sub(applied as u64));
        let features = features(log, &world, serving, session, served)?;
        report.compare(served, &features);
        visit(Replayed { user: &log.users[*user as usize], feed: id, served, session, features: &features });
    }
    Ok(report)
}

/// A release, or `None` where it is not there any more.
fn load(releases: &Releases, id: &str, world: &World) -> Result<Option<Serving>, ModelError> {
    match releases.path(id) {
        Ok(path) => Serving::load(&path, 1, world.live(), world.now_s).map(Some),
        Err(_gone) => Ok(None),
    }
}

/// The rows of a feed's items, as the feature stage makes them.
fn features(
    log: &Log,
    world: &World,
    serving: &Serving,
    session: &SessionState,
    served: &ServedFeed,
) -> anyhow::Result<Vec<f32>> {
    let (catalogue, vectors) = (world.catalogue(), serving.vectors());
    let at = Timestamp::from_millis(served.at_ms).context("a served feed has no possible time")?;
    let user_vector = serving.user_vector(session, catalogue, at.seconds()).ok();
    let statistics = world.live().statistics.read();
    let person = Person::new(Inputs {
        session,
        catalogue,
        statistics: &statistics,
        vectors: &**vectors,
        user_vector: user_vector.as_deref(),
        now_ms: served.at_ms,
        surface: log.live.surface(Some(&served.surface)),
    });
    let mut rows = Vec::with_capacity(served.items.len() * REGISTRY.len());
    for item in &served.items {
        if !catalogue.find_str(&item.video).is_some_and(|video| person.row(video, &mut rows)) {
            rows.resize(rows.len() + REGISTRY.len(), f32::NAN);
        }
    }
    Ok(rows)
}

impl Report {
    fn compare(&mut self, served: &ServedFeed, features: &[f32]) {
        self.feeds += 1;
        let rows = served.items.iter().zip(features.chunks_exact(REGISTRY.len()));
        for (item, row) in rows.filter(|(item, _)| !item.features.is_empty()) {
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            let differ = item.features.iter().zip(row).zip(REGISTRY).filter(|(values, _)| !same(*values));
            let names: Vec<&str> = differ.map(|(_, feature)| feature.name).collect();
            self.rows += 1;
            self.different += usize::from(!names.is_empty() || item.features.len() != row.len());
            names.into_iter().for_each(|name| *self.features.entry(name).or_default() += 1);
        }
    }
}

/// Everybody's session as of any of their events: a feed may have read its session a little before or after the statistics.
struct Sessions<'a> {
    log: &'a Log,
    /// Places of each person's events in the log.
    events: Vec<Vec<u32>>,
    /// How far each person who was asked for has come.
    sessions: HashMap<u32, (SessionState, usize)>,
}

impl<'a> Sessions<'a> {
    fn new(log: &'a Log) -> Self {
        let mut events = vec![Vec::new(); log.users.len()];
        for (n, event) in log.events.iter().enumerate() {
            events[event.user as usize].push(n as u32);
        }
        Self { log, events, sessions: HashMap::new() }
    }

    /// The session after event number `seq`; `None` where the log has no such event.
    fn at(&mut self, user: u32, seq: u64) -> Option<&SessionState> {
        let fresh = || {
            let mut session = SessionState::default();
            session.profile = self.log.profiles.get(user as usize).copied().unwrap_or_default();
            (session, 0)
        };
        let (session, next) = self.sessions.entry(user).or_insert_with(fresh);
        if session.seq > seq {
            // Asked for an earlier one, which is rare: from the beginning again.
            (*session, *next) = fresh();
        }
        let places = self.events.get(user as usize)?;
        while let Some(event) = places.get(*next).and_then(|n| self.log.events.get(*n as usize)) {
            if event.seq > seq {
                break;
            }
            apply(session, event, self.log)?;
            *next += 1;
        }
        (session.seq == seq).then_some(session)
    }
}

fn apply(session: &mut SessionState, event: &Logged, log: &Log) -> Option<()> {
    let entry = *log.live.catalogue().entry(event.video)?;
    // Under its number of then, as a session is rebuilt from the store.
    session.seq = event.seq.saturating_sub(1);
    session.apply(&event.incoming(entry, event.expected?));
    Some(())
}
