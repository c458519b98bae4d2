//! What a session knows of one person, and how an event changes it: pure functions, no clock, no I/O.

use std::collections::VecDeque;

use foryou_schemas::{Country, Gender, Kind, User};

use super::{
    affinity::{Affinities, Affinity},
    rare::Rare,
};
pub use super::{
    outcomes::{LONG_VIEW_MS, Outcomes, SKIP_MS},
    past::Past,
};
use crate::{
    catalogue::{Entry, VideoIndex},
    statistics::{Expected, Rate},
};

/// How many actions a session remembers one by one.
pub const MAX_ACTIONS: usize = 100;
/// How many videos beyond those it remembers as seen.
pub const MAX_SEEN: usize = 4_096;
/// How many servings it remembers.
pub const MAX_SERVED: usize = 200;
/// How many followed creators it remembers, the newest. The store has them all.
pub const MAX_FOLLOWED: usize = 2_000;
/// How many reported videos it remembers, the latest.
pub const MAX_REPORTED: usize = 4_096;
/// A pause that ends a visit, and an exposure to which later reactions still belong: 30 minutes.
pub const VISIT_GAP_S: f64 = 1_800.0;

/// One exposure of a video to the person and what came of it (16 bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Action {
    /// Which video.
    pub video: VideoIndex,
    /// When it began, seconds since 1970.
    pub at_s: u32,
    /// Watch time of the exposure, tenths of a second; at most an hour and 49 minutes.
    pub watch_ds: u16,
    /// What happened.
    pub outcomes: Outcomes,
    /// Long-view rate that could be expected of the exposure, in steps of 1/65535.
    pub expected: Rate,
    /// Like rate that could be expected.
    pub expected_like: Rate,
}

impl Action {
    /// Whether a view was counted. A finish or a rewatch counts as played but is no view: its view may still come.
    fn viewed(&self) -> bool {
        let unwatched = Outcomes::VIEW.with(Outcomes::SKIP);
        let played = unwatched.with(Outcomes::LONG_VIEW).with(Outcomes::REWATCH);
        self.watch_ds > 0 || self.outcomes.and(played) == unwatched
    }

    /// 1 for a long view, else 0.
    pub fn long_view(&self) -> f32 {
        f32::from(u8::from(self.outcomes.any(Outcomes::LONG_VIEW)))
    }
    /// 1 for a like, else 0.
    pub fn like(&self) -> f32 {
        f32::from(u8::from(self.outcomes.any(Outcomes::LIKE)))
    }
    /// The long view less its expectation.
    pub fn surplus(&self) -> f32 {
        self.long_view() - self.expected.get()
    }
    /// The like less its expectation.
    pub fn like_surplus(&self) -> f32 {
        self.like() - self.expected_like.get()
    }
}

/// An event as a session takes it: names resolved to dense numbers.
#[derive(Debug, Clone, Copy)]
pub struct Incoming {
    /// Hash of the event's id (see [`event_hash`]).
    pub id: u64,
    /// Which video.
    pub video: VideoIndex,
    /// The video's attributes.
    pub entry: Entry,
    /// What was done.
    pub kind: Kind,
    /// For how long, for a view; else 0.
    pub watch_ms: u32,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Dense number of the surface.
    pub surface: u16,
    /// What the exposure could be expected to come to, as of the event.
    pub expected: Expected,
}

/// What an event changed: all that statistics, labels and a repeated fold need to know of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Applied {
    /// Number of this event among the person's, from 1.
    pub seq: u64,
    /// Which video.
    pub video: VideoIndex,
    /// Dense number of the surface.
    pub surface: u16,
    /// When, seconds since 1970.
    pub at_s: f64,
    /// Outcomes that are new for the exposure ([`Outcomes::OPENED`] when the event began one).
    pub gained: Outcomes,
    /// Outcomes that were taken back.
    pub lost: Outcomes,
    /// Watch time that was added.
    pub watch_ms: u32,
    /// What the exposure could be expected to come to.
    pub expected: Expected,
}

/// A video as served in a feed, not necessarily seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// Which.
    pub video: VideoIndex,
    /// When, seconds since 1970.
    pub at_s: u32,
}

/// The profile's part that the hot path reads.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Profile {
    /// Years.
    pub age: Option<u8>,
    /// Where the person is.
    pub country: Option<Country>,
    /// As told.
    pub gender: Option<Gender>,
    /// When the person joined, seconds since 1970.
    pub registered_at_s: Option<f64>,
}

impl From<&User> for Profile {
    fn from(user: &User) -> Self {
        Self {
            age: user.age,
            country: user.country,
            gender: user.gender,
            registered_at_s: user.registered_at.map(|t| t.seconds()),
        }
    }
}

/// What is known of one person now. See [`SessionState::apply`] for how it changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionState {
    /// Number of the latest event applied; 0 before the first.
    pub seq: u64,
    /// The latest exposures, oldest first, ordered by time.
    pub actions: VecDeque<Action>,
    /// Taste by category.
    pub categories: Affinities,
    /// Taste by creator.
    pub creators: Affinities,
    /// Seen videos that `actions` no longer holds: `(video, seconds since 1970)`, ordered by video.
    pub seen: Rare<(VideoIndex, u32)>,
    /// Latest servings, oldest first.
    pub served: VecDeque<Served>,
    /// Followed creators, the newest last: [`MAX_FOLLOWED`] at most.
    pub followed: Rare<u32>,
    /// Blocked creators, the newest last. All of them: what is blocked must never be shown, and at four bytes each nothing that
    /// is exact on that side is much smaller.
    pub blocked: Rare<u32>,
    /// Reported videos, the latest [`MAX_REPORTED`]: never shown again, whatever the seen window.
    pub reported: Rare<VideoIndex>,
    /// Age, country, gender.
    pub profile: Profile,
    /// Exposures in the current visit.
    pub depth: u32,
    /// Skips since the last view that was none.
    pub skips_in_row: u32,
    /// Exposures ever.
    pub exposures: u32,
    /// Sums over the exposures that `actions` no longer holds.
    pub past: Past,
    /// Time of the latest event, seconds since 1970.
    pub last_at_s: f64,
    /// The lower halves of the latest event ids' hashes, a ring.
    pub(super) recent_ids: [u32; RECENT_IDS],
}

pub(super) const RECENT_IDS: usize = 16;

/// The hash under which a session remembers an event's id (FNV-1a).
pub fn event_hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

impl SessionState {
    /// Whether `incoming` would begin a new exposure (rather than belong to the latest one of its video).
    pub fn opens(&self, incoming: &Incoming) -> bool {
        self.exposure_of(incoming).is_none()
    }

    /// Folds one event in. The caller sees to it that each event comes once.
    ///
    /// An event joins the nearest exposure of its video when that is less than [`VISIT_GAP_S`] away, but a second view is an
    /// exposure of its own. A late event is put where its time belongs, so that the order of arrival does not matter.
    pub fn apply(&mut self, incoming: &Incoming) -> Applied {
        let at_s = incoming.at_ms as f64 / 1e3;
        self.seq += 1;
        self.recent_ids[(self.seq % RECENT_IDS as u64) as usize] = incoming.id as u32;
        let says = Outcomes::of(incoming.kind, incoming.watch_ms, incoming.entry.duration_ms);
        let (index, opened) = match self.exposure_of(incoming) {
            Some(index) => (self.begin_earlier(index, at_s), Outcomes::NONE),
            None => (self.open(incoming, at_s), Outcomes::OPENED),
        };
        let action = &mut self.actions[index];
        let gained = says.with(opened).without(action.outcomes);
        let lost = match incoming.kind {
            Kind::Unlike => action.outcomes.and(Outcomes::LIKE),
            Kind::Unfollow => action.outcomes.and(Outcomes::FOLLOW),
            _ => Outcomes::NONE,
        };
        action.outcomes = action.outcomes.with(gained).without(lost);
        let watch_ds = (incoming.watch_ms / 100).min(u32::from(u16::MAX)) as u16;
        action.watch_ds = action.watch_ds.saturating_add(watch_ds);
        let applied = Applied {
            seq: self.seq,
            video: incoming.video,
            surface: incoming.surface,
            at_s,
            gained,
            lost,
            watch_ms: incoming.watch_ms,
            expected: incoming.expected,
        };
        self.learn(incoming, &applied);
        while self.actions.len() > MAX_ACTIONS {
            self.retire_oldest();
        }
        applied
    }

    /// Whether the event (by its [`event_hash`]) is among the latest that were applied; wrongly so once in 268 million times.
    pub fn applied_lately(&self, event: u64) -> bool {
        self.recent_ids.contains(&(event as u32))
    }

    /// Notes that a feed with these videos was served at `at_s` (seconds since 1970).
    pub fn note_served(&mut self, videos: &[VideoIndex], at_s: u32) {
        self.served.extend(videos.iter().map(|&video| Served { video, at_s }));
        let excess = self.served.len().saturating_sub(MAX_SERVED);
        self.served.drain(..excess);
    }

    /// When the video was last before the person, if it ever was, seconds since 1970.
    pub fn seen_at(&self, video: VideoIndex) -> Option<u32> {
        let acted = self.actions.iter().rev().find(|a| a.video == video).map(|a| a.at_s);
        acted.or_else(|| self.seen.binary_search_by_key(&video, |s| s.0).ok().map(|i| self.seen[i].1))
    }

    /// Every video ever seen that is remembered, with its time; a video may come twice.
    pub fn all_seen(&self) -> impl Iterator<Item = (VideoIndex, u32)> {
        self.seen.iter().copied().chain(self.actions.iter().map(|a| (a.video, a.at_s)))
    }

    /// What the state occupies beyond its own size, bytes.
    pub fn heap_bytes(&self) -> usize {
        fn of<T>(capacity: usize) -> usize {
            capacity * size_of::<T>()
        }
        of::<Action>(self.actions.capacity())
            + of::<Affinity>(self.categories.rows.capacity() + self.creators.rows.capacity())
            + of::<Served>(self.served.capacity())
            + self.seen.heap_bytes()
            + self.followed.heap_bytes()
            + self.blocked.heap_bytes()
            + self.reported.heap_bytes()
    }

    fn exposure_of(&self, incoming: &Incoming) -> Option<usize> {
        let at_s = incoming.at_ms as f64 / 1e3;
        let taken_back = match incoming.kind {
            Kind::Unlike => Outcomes::LIKE,
            Kind::Unfollow => Outcomes::FOLLOW,
            _ => Outcomes::NONE,
        };
        let of_video = || self.actions.iter().enumerate().filter(|(_, a)| a.video == incoming.video).rev();
        if taken_back != Outcomes::NONE {
            let holds = of_video().find(|(_, a)| a.outcomes.any(taken_back));
            return holds.or(of_video().next()).map(|(index, _)| index);
        }
        let away = |action: &Action| (at_s - f64::from(action.at_s)).abs();
        of_video()
            .filter(|(_, a)| away(a) <= VISIT_GAP_S && !(incoming.kind == Kind::View && a.viewed()))
            .min_by(|(_, a), (_, b)| away(a).total_cmp(&away(b)))
            .map(|(index, _)| index)
    }

    /// Moves the beginning of an exposure back to an event of it that came late. Returns its place.
    fn begin_earlier(&mut self, index: usize, at_s: f64) -> usize {
        let Some(mut action) = self.actions.get(index).copied() else { return index };
        if at_s as u32 >= action.at_s || f64::from(action.at_s) - at_s > VISIT_GAP_S {
            return index;
        }
        action.at_s = at_s as u32;
        self.actions.remove(index);
        let place = self.actions.iter().rposition(|a| a.at_s <= action.at_s).map_or(0, |i| i + 1);
        self.actions.insert(place, action);
        place
    }

    fn open(&mut self, incoming: &Incoming, at_s: f64) -> usize {
        let action = Action {
            video: incoming.video,
            at_s: at_s as u32,
            watch_ds: 0,
            outcomes: Outcomes::NONE,
            expected: incoming.expected.long_view,
            expected_like: incoming.expected.like,
        };
        let index = self.actions.iter().rposition(|a| a.at_s <= action.at_s).map_or(0, |i| i + 1);
        if self.actions.len() == self.actions.capacity() {
            self.actions.reserve_exact(8);
        }
        self.actions.insert(index, action);
        self.exposures += 1;
        index
    }

    fn learn(&mut self, incoming: &Incoming, applied: &Applied) {
        let (entry, at_s) = (&incoming.entry, applied.at_s);
        if applied.gained.any(Outcomes::OPENED) {
            self.depth = if at_s - self.last_at_s > VISIT_GAP_S { 1 } else { self.depth + 1 };
        }
        if applied.gained.any(Outcomes::SKIP) {
            self.skips_in_row += 1;
        } else if applied.gained.any(Outcomes::ENJOYED) {
            self.skips_in_row = 0;
        }
        self.last_at_s = self.last_at_s.max(at_s);
        self.categories.learn(entry.category, at_s, applied);
        self.creators.learn(entry.creator, at_s, applied);
        match incoming.kind {
            Kind::Follow => add(&mut self.followed, entry.creator, MAX_FOLLOWED),
            Kind::Unfollow => self.followed.retain(|c| *c != entry.creator),
            Kind::Report => add(&mut self.reported, incoming.video, MAX_REPORTED),
            Kind::Block => {
                add(&mut self.blocked, entry.creator, usize::MAX);
                self.followed.retain(|c| *c != entry.creator);
            }
            _ => {}
        }
    }

    fn retire_oldest(&mut self) {
        let Some(old) = self.actions.pop_front() else { return };
        self.past.add(&old);
        let seen = self.seen.list();
        match seen.binary_search_by_key(&old.video, |s| s.0) {
            Ok(i) => seen[i].1 = seen[i].1.max(old.at_s),
            Err(i) => seen.insert(i, (old.video, old.at_s)),
        }
        if seen.len() > MAX_SEEN {
            let oldest = seen.iter().enumerate().min_by_key(|(_, s)| s.1).map(|(i, _)| i);
            oldest.map(|i| seen.remove(i));
        }
    }
}

/// Puts a value at the end; where there are more than `max` then, the first goes.
fn add(list: &mut Rare<u32>, value: u32, max: usize) {
    let list = list.list();
    list.retain(|other| *other != value);
    list.push(value);
    if list.len() > max {
        list.remove(0);
    }
}

#[cfg(test)]
mod tests;
