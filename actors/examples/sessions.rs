//! What a resident session costs: `cargo run --release -p foryou-actors --example sessions -- [COUNT] [ACTIONS]`.
//!
//! Reads the resident set before and after, with the allocator that the server uses. People pick videos by popularity and stay
//! with what they like, as in the bundled data.

use std::{sync::Arc, time::Instant};

use foryou_actors::{
    live::Live,
    ports::store::{Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit},
    services::writer::{FeatureWriter, WriterSettings},
    sessions::{SessionSettings, Sessions, state::Incoming},
    statistics::TallyKey,
};
use foryou_schemas::{Event, EventId, Timestamp, User, UserId, Video, VideoId};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VIDEOS: u64 = 20_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (count, actions) = (arguments.next().unwrap_or(200_000), arguments.next().unwrap_or(50_usize));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(count, actions))
}

async fn measure(count: usize, actions: usize) -> Result<()> {
    let live = Arc::new(Live::default());
    let mut catalogue = Clone::clone(&**live.catalogue());
    for n in 0..VIDEOS {
        let json = format!(r#"{{"creator": "c{}", "category": "k{}", "duration_ms": 15000}}"#, n % 4_000, n % 50);
        foryou_actors::catalogue::Catalogue::put(
            &mut catalogue,
            &id(n)?,
            Video::parse(json.as_bytes())?,
            Timestamp::now(),
        );
    }
    live.publish_catalogue(catalogue);
    let store = Arc::new(Nobody);
    let (writer, _not_needed) = FeatureWriter::new(WriterSettings::default(), store.clone());
    let sessions = Sessions::start(SessionSettings::default(), store, live.clone(), writer)?;
    sessions.view(&UserId::new("warm")?).await?;

    let (before, started) = (resident_bytes()?, Instant::now());
    let mut random = 1_u64;
    for n in 0..count {
        let events = history(&live, actions, &mut random)?;
        let user = UserId::new(format!("user-{n}"))?;
        // A few at a time, as people act.
        sessions.view(&user).await?;
        for some in events.chunks(5) {
            sessions.apply(&user, some.to_vec(), 0).await?;
        }
    }
    let (took, bytes) = (started.elapsed(), resident_bytes()? - before);
    let stats = sessions.stats();
    println!(
        "{count} sessions with {actions} actions: {} bytes each resident, {} estimated; {:.1} µs each to make and fill",
        bytes / count,
        stats.bytes / stats.resident.max(1) as u64,
        took.as_secs_f64() * 1e6 / count as f64,
    );
    sessions.stop().await;
    Ok(())
}

fn history(live: &Live, actions: usize, random: &mut u64) -> Result<Vec<Incoming>> {
    let mut draw = |bound: u64| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % bound
    };
    let json = |n: u64, video: u64, kind: &str| {
        let watch = if kind == "view" { r#", "watch_ms": 9000"# } else { "" };
        format!(r#"{{"id": "e{n}", "user": "u", "video": "v{video}", "kind": "{kind}"{watch}}}"#)
    };
    let mut events = Vec::new();
    for n in 0..actions as u64 {
        let uniform = draw(VIDEOS) as f64 / VIDEOS as f64;
        let video = (VIDEOS as f64 * uniform * uniform * uniform) as u64;
        let kind = if draw(10) == 0 { "like" } else { "view" };
        let now = Timestamp::now().plus_millis(n as i64 * 30_000 - 86_400_000);
        let event = Event::parse(json(n, video, kind).as_bytes(), now, || unreachable!("an id is given"))?;
        events.extend(live.resolve(&event));
    }
    Ok(events)
}

fn id(n: u64) -> Result<VideoId> {
    Ok(VideoId::new(format!("v{n}"))?)
}

/// The process's resident set, bytes.
fn resident_bytes() -> Result<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = pages.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * 4_096)
}

/// A store that knows nobody.
struct Nobody;

#[async_trait::async_trait]
impl FeatureStore for Nobody {
    async fn write(&self, _batch: Batch) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    async fn known_events(&self, ids: &[EventId]) -> std::result::Result<Vec<bool>, StoreError> {
        Ok(vec![false; ids.len()])
    }
    async fn session(&self, _user: &UserId) -> std::result::Result<StoredSession, StoreError> {
        Ok(StoredSession::default())
    }
    async fn history(&self, _user: &UserId, _limit: usize) -> std::result::Result<Vec<Activity>, StoreError> {
        Ok(Vec::new())
    }
    async fn put_users(&self, users: &[(UserId, User)]) -> std::result::Result<Vec<bool>, StoreError> {
        Ok(vec![true; users.len()])
    }
    async fn user(&self, _user: &UserId) -> std::result::Result<Option<User>, StoreError> {
        Ok(None)
    }
    async fn erase_user(&self, _user: &UserId) -> std::result::Result<bool, StoreError> {
        Ok(false)
    }
    async fn put_videos(&self, _videos: &[(VideoId, Video)]) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    async fn scan_videos(&self, _visit: Visit<'_, (VideoId, Video)>) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    async fn scan_users(&self, _visit: Visit<'_, (UserId, User)>) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    async fn scan_activity(&self, _visit: Visit<'_, Activity>) -> std::result::Result<(), StoreError> {
        Ok(())
    }
    async fn scan_tallies(&self, _visit: Visit<'_, (TallyKey, Vec<u8>)>) -> std::result::Result<u64, StoreError> {
        Ok(0)
    }
    async fn scan_impressions(&self, _visit: Visit<'_, Impression>) -> std::result::Result<(), StoreError> {
        Ok(())
    }
}
