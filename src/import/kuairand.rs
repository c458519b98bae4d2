//! KuaiRand-Pure, as bundled or as published.
//!
//! | file | becomes |
//! |---|---|
//! | `user_features_pure.csv` | users: `registered_at`, counted back from [`REGISTRATIONS_COUNTED_AT_MS`] |
//! | `video_features_basic_pure.csv` | videos: creator, category (the first tag), tags, duration, publication |
//! | `user_sequences.parquet` (bundled) | histories up to 24 April (see [`histories`] for their times) |
//! | `val.parquet` (bundled) or `log_standard_*.csv` (official) | events with their own times (see [`log`]) |
//!
//! The official layout may keep its files under `data/`. Only raw columns are read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use foryou_schemas::{CreatorId, Event, EventId, Kind, Status, Timestamp, User, UserId, Video, VideoId};

use super::{ImportError, report::Place, sink::Sink, table};

pub mod histories;
pub mod log;

use histories::Impression;
use log::LogRow;

/// 2022-05-08 in China: the day on which `register_days` was counted. The source does not say so; the histories do, for it is the
/// latest day on which nobody acts before they registered.
pub const REGISTRATIONS_COUNTED_AT_MS: i64 = 1_651_939_200_000;
/// The length of the picture posts, which have none: the least for which a long view takes 18 s, as it does in the source.
pub const PICTURE_DURATION_MS: u32 = 18_000;
/// The category of a video without a tag.
const NO_TAG: &str = "unknown";
const DAY_MS: i64 = 86_400_000;
const CHINA_OFFSET: &str = "+08:00";

/// Reads a folder in either layout.
pub fn read(dir: &Path, sink: &mut Sink) -> Result<(), ImportError> {
    let files = Files::find(dir)?;
    let mut rows = Vec::new();
    if let Some(path) = &files.histories {
        histories::read(path, &sink.report, |place, seen| rows.push(Row { place, what: What::History(seen) }))?;
    }
    let mut logged = log::Distinct::default();
    for path in &files.logs {
        log::read(path, &sink.report, |place, row| {
            if logged.insert(&row) {
                rows.push(Row { place, what: What::Log(row) });
            }
            Ok(())
        })?;
    }
    drop(logged);
    read_users(&files.users, sink)?;
    let durations = read_videos(&files.videos, &logged_durations(&rows), sink)?;
    rows.sort_by_key(Row::at_ms);
    sink.report.step("importing events", rows.len() as u64);
    for row in rows {
        row.hand_on(&durations, sink)?;
        sink.report.advance(1);
    }
    Ok(())
}

/// What lies where.
struct Files {
    users: PathBuf,
    videos: PathBuf,
    histories: Option<PathBuf>,
    logs: Vec<PathBuf>,
}

impl Files {
    fn find(dir: &Path) -> Result<Self, ImportError> {
        let listed = std::fs::read_dir(dir).map_err(|e| ImportError::read(dir, e))?;
        let below = std::fs::read_dir(dir.join("data")).into_iter().flatten();
        let mut all: Vec<PathBuf> = listed.chain(below).filter_map(Result::ok).map(|entry| entry.path()).collect();
        all.sort();
        let like = |prefix: &str, suffix: &str| -> Vec<PathBuf> {
            let fits = |path: &&PathBuf| table::name(path).starts_with(prefix) && table::name(path).ends_with(suffix);
            all.iter().filter(fits).cloned().collect()
        };
        let layout = |reason: &str| ImportError::Layout { path: dir.into(), what: "KuaiRand", reason: reason.into() };
        let one = |prefix: &str| {
            let found = like(prefix, ".csv").into_iter().next();
            found.ok_or_else(|| layout(&format!("there is no {prefix}*.csv in it, nor in data/ below it")))
        };
        let (users, videos) = (one("user_features_")?, one("video_features_basic_")?);
        let mut logs = like("log_standard_", ".csv");
        let mut histories = None;
        if logs.is_empty() {
            // The bundled slice is cut out of the same log: together with it, everything would count twice.
            logs = like("val", ".parquet");
            histories = like("user_sequences", ".parquet").into_iter().next();
        }
        if logs.is_empty() && histories.is_none() {
            return Err(layout("there is neither log_standard_*.csv nor user_sequences.parquet or val.parquet in it"));
        }
        Ok(Self { users, videos, histories, logs })
    }
}

fn read_users(path: &Path, sink: &mut Sink) -> Result<(), ImportError> {
    let report = sink.report.clone();
    table::csv_rows(path, ["user_id", "register_days"], &report, |place, [id, days]| match user(id, days) {
        Ok((id, user)) => sink.user(id, user),
        Err(reason) => {
            report.skip(place, reason);
            Ok(())
        }
    })
}

fn user(id: &str, days: &str) -> Result<(UserId, User), String> {
    let id = UserId::new(id).map_err(|reason| format!("user_id {reason}"))?;
    let registered_at = match days {
        "" => None,
        days => {
            let days: i64 = days.parse().map_err(|_| format!("register_days {days:?} is not a whole number"))?;
            Timestamp::from_millis(REGISTRATIONS_COUNTED_AT_MS.saturating_sub(days.saturating_mul(DAY_MS)))
        }
    };
    Ok((id, User { registered_at, ..User::default() }))
}

/// Reads the catalogue; returns every length, by id. `logged` are lengths that only the log knows.
fn read_videos(path: &Path, logged: &HashMap<i64, u32>, sink: &mut Sink) -> Result<HashMap<i64, u32>, ImportError> {
    let report = sink.report.clone();
    let columns = ["video_id", "author_id", "upload_dt", "video_duration", "tag"];
    let mut durations = HashMap::new();
    table::csv_rows(path, columns, &report, |place, cells| match video(cells, logged) {
        Ok((number, id, video)) => {
            durations.insert(number, video.duration_ms);
            sink.video(id, video)
        }
        Err(reason) => {
            report.skip(place, reason);
            Ok(())
        }
    })?;
    Ok(durations)
}

fn video(
    [id, author, uploaded, duration, tags]: [&str; 5],
    logged: &HashMap<i64, u32>,
) -> Result<(i64, VideoId, Video), String> {
    let number: i64 = id.parse().map_err(|_| format!("video_id {id:?} is not a whole number"))?;
    let published_at = match uploaded {
        "" => None,
        day => Some(Timestamp::parse(&format!("{day}T00:00:00{CHINA_OFFSET}"))?),
    };
    let duration_ms = match duration {
        "" => logged.get(&number).copied().unwrap_or(PICTURE_DURATION_MS),
        ms => match ms.parse::<f64>() {
            Ok(ms) if (1.0..=DAY_MS as f64).contains(&ms) => ms as u32,
            _ => return Err(format!("video_duration {ms:?} is not a length of 1 ms to 24 h")),
        },
    };
    let tags: Vec<Box<str>> = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(Box::from).collect();
    let video = Video {
        creator: CreatorId::new(author).map_err(|reason| format!("author_id {reason}"))?,
        category: tags.first().cloned().unwrap_or_else(|| NO_TAG.into()),
        duration_ms,
        published_at,
        tags,
        title: None,
        language: None,
        country: None,
        age_rating: 0,
        status: Status::Live,
    };
    Ok((number, VideoId::new(id)?, video))
}

/// The longest length that log rows give a video.
fn logged_durations(rows: &[Row]) -> HashMap<i64, u32> {
    let mut durations = HashMap::new();
    for row in rows {
        if let What::Log(LogRow { video, duration_ms: ms @ 1.., .. }) = row.what {
            let longest = durations.entry(video).or_insert(ms);
            *longest = ms.max(*longest);
        }
    }
    durations
}

/// One exposure, small enough to sort a whole log of them in memory.
struct Row {
    place: Place,
    what: What,
}

enum What {
    History(Impression),
    Log(LogRow),
}

impl Row {
    fn at_ms(&self) -> i64 {
        match &self.what {
            What::History(seen) => seen.at_ms,
            What::Log(row) => row.at_ms,
        }
    }

    /// Hands on what the exposure becomes: a view or an impression first, then every reaction.
    fn hand_on(&self, durations: &HashMap<i64, u32>, sink: &mut Sink) -> Result<(), ImportError> {
        match &self.what {
            What::History(seen) => {
                let duration = durations.get(&seen.video).copied().unwrap_or(PICTURE_DURATION_MS);
                let id = |kind| EventId::new(format!("kr-{}-h{}-{}", seen.user, seen.index, suffix(kind)));
                self.events(seen.user, seen.video, id, None, seen.events(duration), sink)
            }
            What::Log(row) => {
                self.events(row.user, row.video, |kind| row.event_id(kind), Some(row.tab), row.events(), sink)
            }
        }
    }

    fn events(
        &self,
        user: i64,
        video: i64,
        id: impl Fn(Kind) -> Result<EventId, String>,
        tab: Option<u16>,
        told: impl Iterator<Item = (Kind, Option<u32>)>,
        sink: &mut Sink,
    ) -> Result<(), ImportError> {
        let names = || {
            let at = Timestamp::from_millis(self.at_ms()).ok_or("time_ms is beyond the calendar")?;
            Ok::<_, String>((UserId::new(user.to_string())?, VideoId::new(video.to_string())?, at))
        };
        let (user, video, at) = match names() {
            Ok(names) => names,
            Err(reason) => {
                sink.report.skip(self.place, reason);
                return Ok(());
            }
        };
        let surface: Option<Box<str>> = tab.map(|tab| tab.to_string().into());
        for (kind, watch_ms) in told {
            let Ok(id) = id(kind) else { continue };
            let event = Event {
                id,
                user: user.clone(),
                video: video.clone(),
                kind,
                watch_ms,
                at,
                feed: None,
                position: None,
                surface: surface.clone(),
            };
            sink.event(event, self.place)?;
        }
        Ok(())
    }
}

/// What tells the events of one exposure apart.
fn suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::View => "v",
        Kind::Like => "l",
        Kind::Follow => "f",
        Kind::Comment => "c",
        Kind::Share => "s",
        Kind::Dislike => "d",
        _ => "i",
    }
}
