//! The engine without its actors: folds a log of events into sessions and statistics, one after the other.
//!
//! Import, training and replay use it; the server does the same steps with one actor per session.

use std::{collections::HashMap, sync::Arc};

use foryou_schemas::{Event, UserId};

use crate::{
    live::Live,
    ports::store::Activity,
    sessions::state::{Incoming, SessionState},
    statistics::Entity,
};

/// Sessions and statistics as of the latest event that was folded in.
#[derive(Default)]
pub struct Fold {
    /// Catalogue, statistics and surfaces.
    pub live: Arc<Live>,
    /// Everybody met so far.
    pub sessions: HashMap<UserId, SessionState>,
}

/// What one event did.
pub struct Folded {
    /// As the feature store keeps it.
    pub activity: Activity,
    /// The statistics it changed.
    pub changed: Vec<Entity>,
}

impl Fold {
    /// Goes on from what `live` knows.
    pub fn new(live: Arc<Live>) -> Self {
        Self { live, sessions: HashMap::new() }
    }

    /// Applies one event; `None` where the catalogue does not know its video. The caller sees to it that each comes once.
    pub fn apply(&mut self, event: Event) -> Option<Folded> {
        let incoming = self.live.resolve(&event)?;
        Some(self.apply_resolved(event, &incoming))
    }

    /// [`Fold::apply`] for an event that was resolved before (to look at the session first).
    pub fn apply_resolved(&mut self, event: Event, incoming: &Incoming) -> Folded {
        let session = match self.sessions.get_mut(&event.user) {
            Some(session) => session,
            None => self.sessions.entry(event.user.clone()).or_default(),
        };
        let country = session.profile.country.map(|c| c.bytes());
        let applied = session.apply(incoming);
        let mut statistics = self.live.statistics.write();
        let order = statistics.order() + 1;
        let changed = statistics.apply(order, &applied, &incoming.entry, country);
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
