//! The engine without its actors: folds a log of events into sessions and statistics, one after the other.
//!
//! Import, training and replay use it; the server does the same steps with one actor per session.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use foryou_schemas::{Event, UserId};

use crate::{
    live::Live,
    ports::store::Activity,
    sessions::state::{Applied, Incoming, SessionState},
    statistics::Entity,
};

/// Sessions and statistics as of the latest event that was folded in. `U` names people.
pub struct Fold<U = UserId> {
    /// Catalogue, statistics and surfaces.
    pub live: Arc<Live>,
    /// Everybody met so far.
    pub sessions: HashMap<U, SessionState>,
}

/// What one event did.
pub struct Folded {
    /// As the feature store keeps it.
    pub activity: Activity,
    /// The statistics it changed.
    pub changed: Vec<Entity>,
}

impl<U> Default for Fold<U> {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl<U> Fold<U> {
    /// Goes on from what `live` knows.
    pub fn new(live: Arc<Live>) -> Self {
        Self { live, sessions: HashMap::new() }
    }
}

impl<U: Clone + Hash + Eq> Fold<U> {
    /// Applies one event of `user`, and says what changed.
    pub fn apply_to(&mut self, user: &U, incoming: &Incoming) -> (Applied, Vec<Entity>) {
        let session = match self.sessions.get_mut(user) {
            Some(session) => session,
            None => self.sessions.entry(user.clone()).or_default(),
        };
        let country = session.profile.country.map(|c| c.bytes());
        let applied = session.apply(incoming);
        let changed = self.live.count_one(&applied, &incoming.entry, country);
        (applied, changed)
    }
}

impl Fold {
    /// Applies one event; `None` where the catalogue does not know its video. The caller sees to it that each comes once.
    pub fn apply(&mut self, event: Event) -> Option<Folded> {
        let incoming = self.live.resolve(&event)?;
        Some(self.apply_resolved(event, &incoming))
    }

    /// [`Fold::apply`] for an event that was resolved before (to look at the session first).
    pub fn apply_resolved(&mut self, event: Event, incoming: &Incoming) -> Folded {
        let (applied, changed) = self.apply_to(&event.user, incoming);
        let order = self.live.statistics.read().order();
        let activity = Activity {
            event,
            seq: applied.seq,
            order,
            gained: applied.gained,
            lost: applied.lost,
            expected: applied.expected,
        };
        Folded { activity, changed }
    }
}
