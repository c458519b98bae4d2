//! `bench sessions`: what a resident session costs, in this process.
//!
//! Reads the resident set before and after, with the server's allocator and store. People pick videos by popularity and stay
//! with what they like, as in the bundled data.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use foryou_actors::{
    catalogue::Catalogue,
    live::Live,
    services::{
        supervisor::{RestartPolicy, Supervisor},
        writer::{FeatureWriter, WriterSettings},
    },
    sessions::{SessionSettings, Sessions, state::Incoming},
};
use foryou_schemas::{Event, Timestamp, UserId, Video, VideoId};
use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::Serialize;

use super::{report::Head, server::resident_bytes};
use crate::stores::embedded::EmbeddedStore;

const SELF: &str = "/proc/self/status";
const VIDEOS: u64 = 20_000;
/// How many sessions are put to sleep and woken again.
const WOKEN: usize = 2_000;

/// Settings.
#[derive(Debug, Clone, Serialize)]
pub struct SessionsBench {
    /// How many sessions.
    pub count: usize,
    /// Actions in each.
    pub actions: usize,
}

/// What came out; see the contract, section 5.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract says it")]
pub struct SessionsReport {
    #[serde(flatten)]
    pub head: Head,
    pub settings: SessionsBench,
    pub count: usize,
    pub actions_each: usize,
    /// The resident set that each added.
    pub bytes_each: usize,
    /// What each says of itself: the memory budget counts by it.
    pub estimated_bytes_each: u64,
    /// From asking for an unknown person's session to having it, one after the other.
    pub spawn_us: f64,
    /// The same for a session that sleeps in the store.
    pub wake_us: f64,
}

/// Runs it.
pub async fn run(settings: SessionsBench) -> Result<SessionsReport> {
    let (began, scratch, SessionsBench { count, actions }) = (Instant::now(), tempfile::tempdir()?, settings.clone());
    let live = Arc::new(Live::default());
    live.publish_catalogue(catalogue()?);
    let store = Arc::new(EmbeddedStore::open(scratch.path())?);
    let (writer, writer_service) = FeatureWriter::new(WriterSettings::default(), store.clone());
    let supervisor = Supervisor::start(RestartPolicy::default(), vec![writer_service]).await?;
    let session_settings =
        SessionSettings { budget_bytes: u64::MAX, idle: Duration::MAX, ..SessionSettings::default() };
    let sessions = Sessions::start(session_settings, store, live.clone(), writer)?;
    sessions.view(&user(count)?).await?;

    let (before, mut spawning, mut random) = (resident_bytes(SELF)?, Duration::ZERO, SmallRng::seed_from_u64(1));
    for n in 0..count {
        if n % 20_000 == 0 {
            tracing::info!("session {n} of {count}");
        }
        let (user, events) = (user(n)?, history(&live, actions, &mut random)?);
        let asked = Instant::now();
        sessions.view(&user).await?;
        spawning += asked.elapsed();
        // A few at a time, as people act.
        for some in events.chunks(5) {
            sessions.apply(&user, some.to_vec(), 0).await?;
        }
    }
    let (bytes, stats) = (resident_bytes(SELF)?.saturating_sub(before), sessions.stats());
    let waking = wake(&sessions, count.min(WOKEN)).await?;

    let killed = supervisor.stop(Duration::from_secs(10)).await;
    ensure!(killed.is_empty(), "these did not stop: {killed:?}");
    sessions.stop().await;
    Ok(SessionsReport {
        head: Head::new("sessions", began, None),
        settings,
        count,
        actions_each: actions,
        bytes_each: bytes / count,
        estimated_bytes_each: stats.bytes / stats.resident.max(1) as u64,
        spawn_us: spawning.as_secs_f64() * 1e6 / count as f64,
        wake_us: waking.as_secs_f64() * 1e6 / count.min(WOKEN) as f64,
    })
}

/// Puts the first sessions to sleep, and wakes them one after the other.
async fn wake(sessions: &Sessions, count: usize) -> Result<Duration> {
    let users: Vec<UserId> = (0..count).map(user).collect::<Result<_>>()?;
    for some in users.chunks(200) {
        let slept = join_all(some.iter().map(|user| sessions.sleep(user))).await;
        ensure!(slept.iter().all(|slept| *slept), "a session did not fall asleep");
    }
    let began = Instant::now();
    for user in &users {
        sessions.view(user).await?;
    }
    Ok(began.elapsed())
}

fn catalogue() -> Result<Catalogue> {
    let mut catalogue = Catalogue::default();
    for n in 0..VIDEOS {
        let json = format!(r#"{{"creator": "c{}", "category": "k{}", "duration_ms": 15000}}"#, n % 4_000, n % 50);
        let video = Video::parse(json.as_bytes()).map_err(|e| anyhow!("{e:?}"))?;
        let id = VideoId::new(format!("v{n}")).map_err(anyhow::Error::msg)?;
        catalogue.put(&id, video, Timestamp::now());
    }
    Ok(catalogue)
}

fn user(n: usize) -> Result<UserId> {
    UserId::new(format!("user-{n}")).map_err(anyhow::Error::msg)
}

fn history(live: &Live, actions: usize, random: &mut SmallRng) -> Result<Vec<Incoming>> {
    let mut events = Vec::new();
    for n in 0..actions {
        let video = (VIDEOS as f64 * random.random::<f64>().powi(3)) as u64;
        let (kind, watch) = match random.random_range(0..10) {
            0 => ("like", ""),
            _ => ("view", r#", "watch_ms": 9000"#),
        };
        let json = format!(r#"{{"id": "e{n}", "user": "u", "video": "v{video}", "kind": "{kind}"{watch}}}"#);
        let at = Timestamp::now().plus_millis(n as i64 * 30_000 - 86_400_000);
        let event = Event::parse(json.as_bytes(), at, || unreachable!("an id is given"));
        events.extend(live.resolve(&event.map_err(|e| anyhow!("{e:?}"))?));
    }
    Ok(events)
}
