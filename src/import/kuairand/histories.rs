//! The bundled slice's histories: what each person saw until 24 April, in order but without times.
//!
//! A row holds the last 50 impressions (`watch_seq`), the last 50 long views and the last 50 likes, each oldest first; the latter
//! two reach back to before the impressions begin. They become one sequence: older long views and likes first, then the
//! impressions with what came of them. **Times are made up**: the `history_len` impressions are spread evenly from the day the
//! first videos were uploaded to `last_time_ms`, which is true.

use std::path::Path;

use foryou_actors::sessions::state::LONG_VIEW_MS;
use foryou_schemas::{Kind, Timestamp};
use parquet::record::Field;

use crate::import::{
    ImportError,
    report::{Place, Report},
    table,
};

/// 2022-04-09 in China, where histories begin: no video of the slice was uploaded before.
pub const BEGIN_MS: i64 = 1_649_433_600_000;
/// The least time between two impressions of a history.
const LEAST_STEP_MS: i64 = 60_000;

const COLUMNS: [&str; 6] = ["user_id", "history_len", "last_time_ms", "watch_seq", "long_watch_seq", "like_seq"];

/// A video and what came of it.
type Told = (i64, Outcome);

/// One impression of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impression {
    /// Who.
    pub user: i64,
    /// Which video.
    pub video: i64,
    /// Its place in the person's history as told, from 0.
    pub index: u32,
    /// When, made up; milliseconds since 1970.
    pub at_ms: i64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a history tells about one impression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// It was a long view.
    pub long: bool,
    /// It was liked.
    pub liked: bool,
}

impl Impression {
    /// What happened, with the watch time of a view: the shortest that makes a long view, as the real one is not told.
    pub fn events(&self, duration_ms: u32) -> impl Iterator<Item = (Kind, Option<u32>)> + use<> {
        let shown = match self.outcome.long {
            true => (Kind::View, Some(duration_ms.min(LONG_VIEW_MS))),
            false => (Kind::Impression, None),
        };
        std::iter::once(shown).chain(self.outcome.liked.then_some((Kind::Like, None)))
    }
}

/// Visits every impression of every history, a person's oldest first.
pub fn read(path: &Path, report: &Report, mut visit: impl FnMut(Place, Impression)) -> Result<(), ImportError> {
    table::parquet_rows(path, COLUMNS, report, |place, cells| {
        match History::new(cells) {
            Ok(history) => history.impressions().for_each(|seen| visit(place, seen)),
            Err(reason) => report.skip(place, reason),
        }
        Ok(())
    })
}

/// One person's history, in one sequence.
#[derive(Debug, PartialEq, Eq)]
struct History {
    user: i64,
    /// How many impressions there were in all.
    length: usize,
    last_ms: i64,
    /// Long views and likes from before the window, oldest first.
    older: Vec<Told>,
    /// The last impressions, oldest first.
    window: Vec<Told>,
}

impl History {
    fn new([user, length, last, watched, long, liked]: [&Field; COLUMNS.len()]) -> Result<Self, String> {
        let whole = |name: &str, cell| match table::integer(cell) {
            Some(n) if n >= 0 => Ok(n),
            _ => Err(format!("{name} is not a whole number from 0")),
        };
        let last_ms = whole("last_time_ms", last)?;
        Timestamp::from_millis(last_ms).ok_or_else(|| format!("last_time_ms {last_ms} is beyond the calendar"))?;
        let (watched, long, liked) =
            (videos("watch_seq", watched)?, videos("long_watch_seq", long)?, videos("like_seq", liked)?);
        let (older, window) = merge(&watched, &long, &liked);
        let length = (whole("history_len", length)? as usize).max(window.len());
        Ok(Self { user: whole("user_id", user)?, length, last_ms, older, window })
    }

    fn impressions(&self) -> impl Iterator<Item = Impression> {
        let least = LEAST_STEP_MS.saturating_mul(self.length as i64);
        let begin_ms = BEGIN_MS.min(self.last_ms.saturating_sub(least));
        let step_ms = (self.last_ms - begin_ms) / self.length.max(1) as i64;
        let window_ms = self.last_ms - step_ms * self.window.len().saturating_sub(1) as i64;
        let older_step_ms = (window_ms - begin_ms) / (self.older.len() as i64 + 1);
        let older = (1..).zip(&self.older).map(move |(n, told)| (begin_ms + n * older_step_ms, told));
        let window = (0..).zip(&self.window).map(move |(n, told)| (window_ms + n * step_ms, told));
        (0..).zip(older.chain(window)).map(|(index, (at_ms, &(video, outcome)))| Impression {
            user: self.user,
            video,
            index,
            at_ms,
            outcome,
        })
    }
}

/// A list of videos. A video right after itself is one impression that the source logged twice (2% are; so are 3% of the log).
fn videos(name: &str, cell: &Field) -> Result<Vec<i64>, String> {
    let wrong = || format!("{name} is not a list of whole numbers");
    let mut videos = match cell {
        Field::Null => Vec::new(),
        Field::ListInternal(list) => {
            list.elements().iter().map(table::integer).collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    videos.dedup();
    Ok(videos)
}

/// Makes one sequence of the three: what the window does not hold, and the window with its outcomes.
fn merge(watched: &[i64], long: &[i64], liked: &[i64]) -> (Vec<Told>, Vec<Told>) {
    let mut window: Vec<Told> = watched.iter().map(|&video| (video, Outcome::default())).collect();
    let older_long = mark(&mut window, long, |outcome| &mut outcome.long);
    let older_liked = mark(&mut window, liked, |outcome| &mut outcome.liked);
    let mut older: Vec<Told> =
        older_long.into_iter().map(|video| (video, Outcome { long: true, liked: false })).collect();
    // A like joins its own long view; one without stands right before the next like that has one.
    let rest = mark(&mut older, &older_liked, |outcome| &mut outcome.liked);
    let mut rest = rest.into_iter().peekable();
    let mut merged = Vec::with_capacity(older.len());
    let mut order = older_liked.into_iter();
    for (video, outcome) in older {
        if outcome.liked {
            for like in order.by_ref().take_while(|&like| like != video) {
                if rest.next_if_eq(&like).is_some() {
                    merged.push((like, Outcome { long: false, liked: true }));
                }
            }
        }
        merged.push((video, outcome));
    }
    merged.extend(rest.map(|like| (like, Outcome { long: false, liked: true })));
    (merged, window)
}

/// Marks each of `chosen` (a subsequence, latest last) in `sequence`; returns those that it does not hold.
fn mark(sequence: &mut [Told], chosen: &[i64], flag: impl Fn(&mut Outcome) -> &mut bool) -> Vec<i64> {
    let mut absent = Vec::new();
    let mut end = sequence.len();
    for &video in chosen.iter().rev() {
        // Where the two lists disagree about the order (2 in 1,000 do), the latest place that is free is taken.
        let before = sequence[..end].iter().rposition(|told| told.0 == video);
        let found = before.or_else(|| sequence.iter_mut().rposition(|told| told.0 == video && !*flag(&mut told.1)));
        match found {
            Some(at) => {
                *flag(&mut sequence[at].1) = true;
                end = end.min(at);
            }
            None => absent.push(video),
        }
    }
    absent.reverse();
    absent
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: Outcome = Outcome { long: true, liked: false };
    const LIKED: Outcome = Outcome { long: false, liked: true };
    const BOTH: Outcome = Outcome { long: true, liked: true };
    const SHOWN: Outcome = Outcome { long: false, liked: false };

    #[test]
    fn older_long_views_and_likes_come_before_the_window() {
        let (older, window) = merge(&[5, 6, 5, 7], &[1, 2, 3, 5], &[8, 2, 9, 7]);
        assert_eq!(older, [(1, LONG), (8, LIKED), (2, BOTH), (3, LONG), (9, LIKED)]);
        assert_eq!(window, [(5, SHOWN), (6, SHOWN), (5, LONG), (7, LIKED)]);
    }

    #[test]
    fn times_end_at_the_last_time_and_never_run_back() {
        let history = History {
            user: 1,
            length: 100,
            last_ms: BEGIN_MS + 100_000_000,
            older: vec![(1, LONG), (2, LONG)],
            window: vec![(3, SHOWN); 50],
        };
        let times: Vec<i64> = history.impressions().map(|seen| seen.at_ms - BEGIN_MS).collect();
        assert_eq!((times[2], times[51]), (51_000_000, 100_000_000));
        assert_eq!((times[0], times[1]), (17_000_000, 34_000_000));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(watched in prop::collection::vec(0i64..20, 0..50), long in prop::collection::vec(0i64..30, 0..50),
                           liked in prop::collection::vec(0i64..30, 0..50), last in 0i64..BEGIN_MS * 2) {
            let (older, window) = merge(&watched, &long, &liked);
            prop_assert_eq!(window.iter().map(|w| w.0).collect::<Vec<_>>(), watched);
            let all = || older.iter().chain(&window);
            for video in &long {
                prop_assert!(all().any(|(v, o)| v == video && o.long));
            }
            for video in &liked {
                prop_assert!(all().any(|(v, o)| v == video && o.liked));
            }
            let history = History { user: 1, length: window.len(), last_ms: last, older, window };
            let times: Vec<i64> = history.impressions().map(|seen| seen.at_ms).collect();
            prop_assert!(times.is_sorted() && times.last().is_none_or(|&t| t == last || history.window.is_empty()));
        }
    }
}
