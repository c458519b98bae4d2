//! What this node counted itself, and what every other owner of the store did: statistics are the sum.
//!
//! Each owner stores absolute values of its own counts, so that writing them twice changes nothing, and nobody adds to a row of
//! somebody else. A node alone on its store needs none of this: its own counts are all there are.

use std::collections::HashMap;

use crate::{
    catalogue::Entry,
    dictionary::Dictionary,
    sessions::state::Applied,
    statistics::{Entity, Statistics, Tally},
};

/// The shares behind the sum.
pub(crate) struct Shares {
    own: Statistics,
    /// The order number at which each entity changed last, since the process started.
    changed: HashMap<Entity, u64>,
    owners: Dictionary<Box<str>>,
    /// What the other owners counted of each entity, by the owner's number, in its order.
    foreign: HashMap<Entity, Vec<(u32, Tally)>>,
}

impl Shares {
    /// Begins with what this owner counted so far.
    pub(crate) fn of(own: Statistics) -> Self {
        Self { own, changed: HashMap::new(), owners: Dictionary::default(), foreign: HashMap::new() }
    }

    /// Folds an event into the own share.
    pub(crate) fn apply(&mut self, order: u64, applied: &Applied, entry: &Entry, country: Option<[u8; 2]>) {
        for entity in self.own.apply(order, applied, entry, country) {
            self.changed.insert(entity, order);
        }
    }

    /// The own share of an entity: what is stored.
    pub(crate) fn own(&self, entity: Entity) -> Tally {
        self.own.tally(entity)
    }

    /// Takes in what another owner counted in all.
    pub(crate) fn put(&mut self, owner: &str, tallies: &[(Entity, Tally)]) {
        let owner = self.owners.intern(&owner.into());
        for (entity, tally) in tallies {
            let shares = self.foreign.entry(*entity).or_default();
            match shares.binary_search_by_key(&owner, |(owner, _)| *owner) {
                Ok(place) => shares[place].1 = *tally,
                Err(place) => shares.insert(place, (owner, *tally)),
            }
        }
    }

    /// What all owners counted of an entity.
    pub(crate) fn sum(&self, entity: Entity) -> Tally {
        let foreign = self.foreign.get(&entity).into_iter().flatten();
        foreign.fold(self.own.tally(entity), |sum, (_, tally)| sum.plus(tally))
    }

    /// The own shares that changed after an order number, and the order number up to which that counts.
    pub(crate) fn changes_since(&self, order: u64) -> (u64, Vec<(Entity, Tally)>) {
        let changed = self.changed.iter().filter(|(_, at)| **at > order);
        (self.own.order(), changed.map(|(entity, _)| (*entity, self.own.tally(*entity))).collect())
    }
}
