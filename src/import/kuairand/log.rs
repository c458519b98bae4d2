//! Rows of KuaiRand's interaction log, CSV (official) or Parquet (bundled), and the events they stand for.

use std::{collections::HashSet, path::Path};

use foryou_schemas::{EventId, Kind, event::MAX_WATCH_MS};

use crate::import::{
    ImportError,
    report::{Place, Report},
    table,
};

/// The raw columns that are read. Everything else in the bundled log is derived, some of it from later days.
const COLUMNS: [&str; 11] = [
    "user_id",
    "video_id",
    "time_ms",
    "play_time_ms",
    "duration_ms",
    "tab",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
];

/// The reactions that a row may hold, in the order of their columns and of their events.
const REACTIONS: [Kind; 5] = [Kind::Like, Kind::Follow, Kind::Comment, Kind::Share, Kind::Dislike];

/// One exposure as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRow {
    /// Who.
    pub user: i64,
    /// Which video.
    pub video: i64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// For how long it was played; 0: it was not.
    pub play_ms: u32,
    /// Its length as logged; 0: none.
    pub duration_ms: u32,
    /// Where in the app.
    pub tab: u16,
    /// A bit per reaction.
    reactions: u8,
}

impl LogRow {
    fn new(cells: [Option<i64>; COLUMNS.len()]) -> Result<Self, String> {
        for (column, cell) in COLUMNS.iter().zip(cells) {
            if cell.is_none_or(|n| n < 0) {
                return Err(format!("{column} is not a whole number from 0"));
            }
        }
        let [user, video, at_ms, play_ms, duration_ms, tab, reactions @ ..] = cells.map(Option::unwrap_or_default);
        let bits = reactions.iter().enumerate().map(|(i, &said)| u8::from(said != 0) << i);
        Ok(Self {
            user,
            video,
            at_ms,
            play_ms: play_ms.min(MAX_WATCH_MS) as u32,
            duration_ms: duration_ms.min(MAX_WATCH_MS) as u32,
            tab: u16::try_from(tab).map_err(|_| format!("tab {tab} is larger than {}", u16::MAX))?,
            reactions: bits.sum(),
        })
    }

    /// The id of the row's event of this kind: the same whenever the log is read.
    pub fn event_id(&self, kind: Kind) -> Result<EventId, String> {
        EventId::new(format!("kr-{}-{}-{}-{}", self.user, self.video, self.at_ms, super::suffix(kind)))
    }

    /// What happened, with the watch time of a view: played or shown first, then each reaction, all at the row's time.
    pub fn events(&self) -> impl Iterator<Item = (Kind, Option<u32>)> + use<> {
        let reactions = self.reactions;
        let shown = if self.play_ms > 0 { (Kind::View, Some(self.play_ms)) } else { (Kind::Impression, None) };
        let reacted = REACTIONS.into_iter().enumerate().filter(move |(i, _)| reactions & (1 << i) != 0);
        std::iter::once(shown).chain(reacted.map(|(_, kind)| (kind, None)))
    }
}

/// Which exposures were met before: the source logs some twice, on one in 30 rows.
#[derive(Debug, Default)]
pub struct Distinct(HashSet<(i64, i64, i64)>);

impl Distinct {
    /// Whether the row is the first of its user, video and time.
    pub fn insert(&mut self, row: &LogRow) -> bool {
        self.0.insert((row.user, row.video, row.at_ms))
    }
}

/// Visits every row of a log, in the order of the file, repeated ones too.
pub fn read(
    path: &Path,
    report: &Report,
    mut visit: impl FnMut(Place, LogRow) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    table::integer_rows(path, COLUMNS, report, |place, cells| match LogRow::new(cells) {
        Ok(row) => visit(place, row),
        Err(reason) => {
            report.skip(place, reason);
            Ok(())
        }
    })
}
