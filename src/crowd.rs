//! `foryou replay --live`: the events of a log once more, as they came and faster, as a crowd of people in front of a running server.
//!
//! ```text
//! log, by time ──due──► batches ──POST /v1/events──► server
//!                         └─ whoever opens the app or has watched some: GET /v1/users/{id}/feed, beside it
//! ```
//! Arrivals are on schedule, whatever the server does: what it is too busy for comes as soon as it can. An event's id is made of its id in
//! the log and of when the pass began, so a batch that is sent again, because its answer was lost, has no second effect.

mod delivery;
mod feeds;
mod server;
mod visits;

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use foryou_schemas::{Event, EventId, Timestamp, event::MAX_BATCH};
use hdrhistogram::Histogram;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::{import::report::Report as Progress, training::replay};
use delivery::{Delivery, Told};
use feeds::Feeds;
pub use server::Server;
use visits::Visits;

/// What is due within this long goes together.
const GATHER: Duration = Duration::from_millis(50);

/// What is replayed, how fast, and where to.
pub struct Settings {
    /// As `foryou replay` reads them.
    pub files: Vec<PathBuf>,
    /// How many seconds of the log pass in one.
    pub speed: f64,
    /// How much of the log's end; all of it, if `None`.
    pub last: Option<Duration>,
    /// The server.
    pub server: Server,
    /// Again and again.
    pub repeat: bool,
}

/// What a crowd did: the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How often the log was begun.
    pub passes: u64,
    /// Different people in it.
    pub people: usize,
    /// Events that were due.
    pub events: u64,
    /// What the server said of them; `duplicates` were accepted before, by a try whose answer was lost.
    pub accepted: u64,
    /// See `accepted`.
    pub duplicates: u64,
    /// Refused for good, as events of videos that the server does not know.
    pub rejected: u64,
    /// Batches that were sent again.
    pub retries: u64,
    /// Feeds that were served.
    pub feeds: u64,
    /// Feeds that were not: refused, failed, or not asked for because too many were waiting.
    pub feeds_failed: u64,
    /// Lines of the files that were refused.
    pub skipped: u64,
    /// From when an event was due until it was durable, milliseconds.
    pub p50: f64,
    /// The same.
    pub p99: f64,
    /// How long it went on.
    pub seconds: f64,
}

/// Plays the log to the server until it has ended, or `stop` has: then what is on its way is waited for.
pub async fn run(settings: Settings, stop: impl Future<Output = ()>) -> anyhow::Result<Summary> {
    let stopping = watch::Sender::new(false);
    let play = play(settings, stopping.subscribe());
    tokio::pin!(play, stop);
    tokio::select! {
        summary = &mut play => return summary,
        () = &mut stop => {}
    }
    stopping.send_replace(true);
    play.await
}

async fn play(settings: Settings, mut stopping: watch::Receiver<bool>) -> anyhow::Result<Summary> {
    ensure!(settings.speed.is_finite() && settings.speed > 0.0, "the speed has to be above 0");
    let files = settings.files.clone();
    let (mut events, skipped) = tokio::task::spawn_blocking(move || replay::read(&files)).await??;
    events.sort_by_key(|event| event.at);
    let Some(last) = events.last().map(|event| event.at) else { bail!("the files hold no event") };
    if let Some(span) = settings.last {
        let from = last.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        events.drain(..events.partition_point(|event| event.at.millis() <= from));
    }
    let server = Arc::new(settings.server);
    let began = Instant::now();
    let (progress, mut delivery, mut feeds) =
        (Progress::new(), Delivery::new(server.clone(), stopping.clone()), Feeds::start(&server));
    let mut visits = Visits::default();
    let mut lateness = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3)?;
    let (mut passes, mut due) = (0, 0);
    'passes: loop {
        passes += 1;
        let pass = Pass::begin(&events, settings.speed);
        progress.step(format!("crowd at {}×", settings.speed), events.len() as u64);
        let mut next = 0;
        while let Some(event) = events.get(next) {
            tokio::select! {
                () = tokio::time::sleep_until((pass.due(event) + GATHER).into()) => {}
                _ = stopping.wait_for(|stopping| *stopping) => break 'passes,
            }
            let now = Instant::now();
            let waiting = events[next..].iter().take(MAX_BATCH).take_while(|event| pass.due(event) <= now);
            let batch: Vec<Event> = waiting.map(|event| pass.moved(event)).collect::<Result<_, _>>()?;
            due += batch.len() as u64;
            if delivery.send(&batch).await? == Told::Stopped {
                break 'passes;
            }
            for (event, sent) in events[next..].iter().zip(&batch) {
                lateness.saturating_record(pass.due(event).elapsed().as_micros() as u64);
                if visits.wants_feed(event) {
                    feeds.ask(sent);
                }
            }
            next += batch.len();
            progress.advance(batch.len() as u64);
            progress.rename(&told(settings.speed, began, &delivery, &feeds));
        }
        if !settings.repeat {
            break;
        }
    }
    progress.end();
    let (served, failed) = feeds.end().await;
    let quantile = |q| lateness.value_at_quantile(q) as f64 / 1e3;
    Ok(Summary {
        passes,
        people: visits.people(),
        events: due,
        accepted: delivery.accepted,
        duplicates: delivery.duplicates,
        rejected: delivery.rejected,
        retries: delivery.retries,
        feeds: served,
        feeds_failed: failed,
        skipped,
        p50: quantile(0.5),
        p99: quantile(0.99),
        seconds: (began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
    })
}

fn told(speed: f64, began: Instant, delivery: &Delivery, feeds: &Feeds) -> String {
    let seconds = began.elapsed().as_secs_f64().max(1.0);
    let (events, feeds) = ((delivery.accepted as f64 / seconds), (feeds.served() as f64 / seconds));
    format!("crowd at {speed}×: {events:.0} events/s, {feeds:.0} feeds/s")
}

/// One time through the log.
struct Pass {
    /// Of the first event.
    first: Timestamp,
    begin: Instant,
    begin_at: Timestamp,
    speed: f64,
}

impl Pass {
    fn begin(events: &[Event], speed: f64) -> Self {
        let begin_at = Timestamp::now();
        let first = events.first().map_or(begin_at, |event| event.at);
        Self { first, begin: Instant::now(), begin_at, speed }
    }

    fn offset(&self, event: &Event) -> Duration {
        let millis = event.at.millis().saturating_sub(self.first.millis()).max(0);
        Duration::from_secs_f64(millis as f64 / 1e3 / self.speed)
    }

    fn due(&self, event: &Event) -> Instant {
        self.begin + self.offset(event)
    }

    /// The event as it happens now. Fails for an id that cannot be.
    fn moved(&self, event: &Event) -> anyhow::Result<Event> {
        let at = self.begin_at.plus_millis(self.offset(event).as_millis() as i64);
        let id = moved_id(event.id.as_str(), self.begin_at).map_err(anyhow::Error::msg)?;
        Ok(Event { id, at, feed: None, position: None, ..event.clone() })
    }
}

/// The id of a log's event in the pass that began at `begin`: the same for every try to deliver it, another in every pass.
fn moved_id(id: &str, begin: Timestamp) -> Result<EventId, String> {
    let moved = format!("{id}@{}", begin.millis());
    EventId::new(moved.as_str()).or_else(|_too_long| {
        let digest: [u8; 32] = Sha256::digest(&moved).into();
        let number = u128::from_be_bytes(std::array::from_fn(|i| digest[i]));
        EventId::new(format!("live-{number:032x}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, at_ms: i64) -> Event {
        let json = format!(r#"{{"id":"{id}","user":"u","video":"v","kind":"like","at":"2022-04-30T00:00:00.000Z"}}"#);
        let event = Event::parse(json.as_bytes(), Timestamp::now(), || EventId::from_u128(0)).unwrap();
        Event { at: event.at.plus_millis(at_ms), ..event }
    }

    #[test]
    fn a_log_passes_as_much_faster_as_is_asked_and_ends_now() {
        let events = [event("a", 0), event("b", 60_000)];
        let pass = Pass::begin(&events, 30.0);
        assert_eq!(pass.due(&events[1]) - pass.due(&events[0]), Duration::from_secs(2));
        let moved = pass.moved(&events[1]).unwrap();
        assert_eq!(moved.at.millis() - pass.begin_at.millis(), 2_000);
        assert_eq!(moved.id.as_str(), format!("b@{}", pass.begin_at.millis()));
    }

    #[test]
    fn an_id_is_the_same_for_every_try_and_another_in_every_pass() {
        let (one, other) = (Timestamp::from_millis(1_000).unwrap(), Timestamp::from_millis(2_000).unwrap());
        let long = "x".repeat(128);
        for id in ["a", &long] {
            assert_eq!(moved_id(id, one), moved_id(id, one));
            assert_ne!(moved_id(id, one), moved_id(id, other));
        }
    }
}
