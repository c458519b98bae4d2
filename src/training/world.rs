//! The engine replayed: sessions and statistics as of any moment of a log, and every exposure with what came of it.

use std::{collections::HashMap, sync::Arc};

use foryou_actors::{
    catalogue::Catalogue,
    fold::Fold,
    live::Live,
    sessions::state::{Action, Applied, Outcomes, Profile, SessionState, VISIT_GAP_S},
    statistics::{Expected, Statistics},
};
use parking_lot::RwLockReadGuard;

use super::log::{Log, Logged};

/// How many of a person's latest exposures are kept for the towers.
pub const MAX_EXPOSURES: usize = 400;

/// What can be known at the moment before an event.
pub struct Moment<'a> {
    /// The person.
    pub session: &'a SessionState,
    /// The videos.
    pub catalogue: &'a Catalogue,
    /// What happened to videos so far.
    pub statistics: RwLockReadGuard<'a, Statistics>,
}

/// Sessions and statistics as of the latest event that was applied.
pub struct World {
    catalogue: Arc<Catalogue>,
    fold: Fold<u32>,
    exposures: Vec<Vec<Action>>,
    nobody: SessionState,
    /// Time of the latest event, seconds since 1970.
    pub now_s: f64,
}

impl World {
    /// Everybody of `log` with their profile, and nothing that happened.
    pub fn new(log: &Log) -> Self {
        let live = Arc::new(Live::default());
        live.publish_catalogue(Catalogue::clone(&log.live.catalogue()));
        let mut fold = Fold::new(live);
        for (user, profile) in log.profiles.iter().enumerate().filter(|(_, p)| **p != Profile::default()) {
            fold.sessions.entry(user as u32).or_default().profile = *profile;
        }
        Self {
            catalogue: fold.live.catalogue_full(),
            fold,
            exposures: vec![Vec::new(); log.users.len()],
            nobody: SessionState::default(),
            now_s: 0.0,
        }
    }

    /// The videos.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Statistics (and the catalogue again).
    pub fn live(&self) -> &Live {
        &self.fold.live
    }

    /// A person as of now.
    pub fn session(&self, user: u32) -> &SessionState {
        self.fold.sessions.get(&user).unwrap_or(&self.nobody)
    }

    /// Everything that features may depend on for this person now.
    pub fn moment(&self, user: u32) -> Moment<'_> {
        Moment { session: self.session(user), catalogue: &self.catalogue, statistics: self.fold.live.statistics.read() }
    }

    /// A person's latest exposures, oldest first, at most 400.
    pub fn exposures(&self, user: u32) -> &[Action] {
        self.exposures.get(user as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the event would begin a new exposure.
    pub fn opens(&self, event: &Logged) -> bool {
        let incoming = self.catalogue.entry(event.video).map(|entry| event.incoming(*entry, Expected::default()));
        incoming.is_some_and(|incoming| self.session(event.user).opens(&incoming))
    }

    /// Applies an event; `None` where the catalogue does not know its video.
    pub fn apply(&mut self, event: &Logged) -> Option<Applied> {
        let entry = *self.catalogue.entry(event.video)?;
        let statistics = &self.fold.live.statistics;
        let now = || statistics.read().expected(event.video, &entry, event.surface, event.at_s());
        let incoming = event.incoming(entry, event.expected.unwrap_or_else(now));
        let (applied, _changed) = self.fold.apply_to(&event.user, &incoming);
        self.now_s = self.now_s.max(applied.at_s);
        self.note(event, &applied);
        Some(applied)
    }

    fn note(&mut self, event: &Logged, applied: &Applied) {
        if self.exposures.len() <= event.user as usize {
            self.exposures.resize_with(event.user as usize + 1, Vec::new);
        }
        let list = &mut self.exposures[event.user as usize];
        if applied.gained.any(Outcomes::OPENED) {
            let at_s = applied.at_s as u32;
            let place = list.iter().rposition(|e| e.at_s <= at_s).map_or(0, |i| i + 1);
            let (expected, expected_like) = (applied.expected.long_view, applied.expected.like);
            let outcomes = Outcomes::NONE;
            let action = Action { video: event.video, at_s, watch_ds: 0, outcomes, expected, expected_like };
            list.insert(place, action);
            if list.len() > MAX_EXPOSURES {
                list.remove(0);
            }
        }
        if let Some(action) = list.iter_mut().rev().find(|e| e.video == event.video) {
            action.outcomes = action.outcomes.with(applied.gained).without(applied.lost);
            let watch_ds = (applied.watch_ms / 100).min(u32::from(u16::MAX)) as u16;
            action.watch_ds = action.watch_ds.saturating_add(watch_ds);
        }
    }
}

/// What came of one exposure within [`VISIT_GAP_S`] of its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Label {
    /// What happened.
    pub outcomes: Outcomes,
    /// Watch time, milliseconds.
    pub watch_ms: u32,
}

/// Collects the outcomes of exposures that were noted.
#[derive(Debug, Default)]
pub struct Labels {
    /// One per noted exposure, in the order of noting.
    pub labels: Vec<Label>,
    /// The latest exposure of each person and video: its number and when it began.
    open: HashMap<(u32, u32), (usize, f64)>,
}

impl Labels {
    /// Notes that the event begins an exposure that is to be labelled.
    pub fn open(&mut self, event: &Logged) {
        self.open.insert((event.user, event.video), (self.labels.len(), event.at_ms as f64 / 1e3));
        self.labels.push(Label::default());
    }

    /// Adds what an applied event says.
    pub fn learn(&mut self, event: &Logged, applied: &Applied) {
        let Some((n, began_s)) = self.open.get(&(event.user, event.video)) else { return };
        if (applied.at_s - began_s).abs() <= VISIT_GAP_S {
            let label = &mut self.labels[*n];
            label.outcomes = label.outcomes.with(applied.gained).without(applied.lost);
            label.watch_ms = label.watch_ms.saturating_add(applied.watch_ms);
        }
    }
}
