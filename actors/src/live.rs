//! What services keep up to date and every request reads: the catalogue and the statistics of this node.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::{ArcSwap, Guard};
use foryou_schemas::Event;
use parking_lot::{Mutex, RwLock};

use crate::{
    catalogue::{Catalogue, Entry},
    dictionary::Dictionary,
    ports::store::Activity,
    sessions::state::{Applied, Incoming, event_hash},
    shares::Shares,
    statistics::{Entity, Expected, Statistics, Tally},
};

/// The surface of an event or a feed that names none.
pub const DEFAULT_SURFACE: &str = "for_you";
/// How many distinct surfaces are told apart; more share the default's number.
const MAX_SURFACES: usize = 1_000;

/// The state of this node that is not one person's.
pub struct Live {
    catalogue: ArcSwap<Catalogue>,
    /// Folded by one writer under short write locks (microseconds a batch); read by requests.
    pub statistics: RwLock<Statistics>,
    /// Where several owners count: the parts of `statistics`. Locked before it.
    shares: Mutex<Option<Shares>>,
    /// How often counting began anew.
    generation: AtomicU64,
    surfaces: ArcSwap<Dictionary<Box<str>>>,
    surfaces_writer: Mutex<()>,
}

impl Default for Live {
    fn default() -> Self {
        let mut surfaces = Dictionary::default();
        surfaces.intern(&Box::from(DEFAULT_SURFACE));
        Self {
            catalogue: ArcSwap::default(),
            statistics: RwLock::default(),
            shares: Mutex::default(),
            generation: AtomicU64::new(0),
            surfaces: ArcSwap::from_pointee(surfaces),
            surfaces_writer: Mutex::new(()),
        }
    }
}

/// How many tallies of others are taken in under one lock.
const LOCKED_AT_ONCE: usize = 1_024;

impl Live {
    /// Keeps apart what this node counts from now on: others count, too, and want to hear of it.
    pub fn share(&self) {
        let mut shares = self.shares.lock();
        let own = || Shares::of(self.statistics.read().clone());
        shares.get_or_insert_with(own);
    }

    /// What this node counted of what changed after an order number, and the order number up to which that counts.
    pub fn changes_since(&self, order: u64) -> (u64, Vec<(Entity, Tally)>) {
        self.shares.lock().as_ref().map_or((0, Vec::new()), |shares| shares.changes_since(order))
    }

    /// Folds applied events in, in their order. Returns the order number of the first, and what this node counted in all of each
    /// entity that changed.
    pub fn count<'a>(
        &self,
        events: impl Iterator<Item = (&'a Applied, &'a Entry, Option<[u8; 2]>)>,
    ) -> (u64, Vec<(Entity, Tally)>) {
        let mut shares = self.shares.lock();
        let mut statistics = self.statistics.write();
        let first_order = statistics.order() + 1;
        let mut changed: HashSet<Entity> = HashSet::new();
        for (order, (applied, entry, country)) in (first_order..).zip(events) {
            changed.extend(statistics.apply(order, applied, entry, country));
            if let Some(shares) = &mut *shares {
                shares.apply(order, applied, entry, country);
            }
        }
        let own = |entity| shares.as_ref().map_or_else(|| statistics.tally(entity), |shares| shares.own(entity));
        let tallies = changed.into_iter().map(|entity| (entity, own(entity))).collect();
        (first_order, tallies)
    }

    /// Folds one applied event in, and names the entities it changed.
    pub fn count_one(&self, applied: &Applied, entry: &Entry, country: Option<[u8; 2]>) -> Vec<Entity> {
        let mut shares = self.shares.lock();
        let mut statistics = self.statistics.write();
        let order = statistics.order() + 1;
        if let Some(shares) = &mut *shares {
            shares.apply(order, applied, entry, country);
        }
        statistics.apply(order, applied, entry, country)
    }

    /// What this node counted in all of an entity: what its owner stores.
    pub fn own(&self, entity: Entity) -> Tally {
        let shares = self.shares.lock();
        shares.as_ref().map_or_else(|| self.statistics.read().tally(entity), |shares| shares.own(entity))
    }

    /// Begins with what this owner counted, as read from the store; of the others nothing is known yet.
    pub(crate) fn restart(&self, own: Statistics) {
        let mut shares = self.shares.lock();
        let mut statistics = self.statistics.write();
        if shares.is_some() {
            *shares = Some(Shares::of(own.clone()));
        }
        *statistics = own;
        self.generation.fetch_add(1, Relaxed);
    }

    /// Changes when counting begins anew from the store: what [`Live::changes_since`] told before then does not go on.
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Takes in what other owners counted in all: each owner's name, and tallies of what it counted.
    pub fn set_foreign(&self, foreign: &HashMap<Box<str>, Vec<(Entity, Tally)>>) {
        self.share();
        for (owner, tallies) in foreign {
            for some in tallies.chunks(LOCKED_AT_ONCE) {
                if let Some(shares) = &mut *self.shares.lock() {
                    shares.put(owner, some);
                }
            }
        }
        // Each is summed once, however many owners counted it.
        let changed: HashSet<Entity> = foreign.values().flatten().map(|(entity, _)| *entity).collect();
        let changed: Vec<Entity> = changed.into_iter().collect();
        for some in changed.chunks(LOCKED_AT_ONCE) {
            let shares = self.shares.lock();
            let Some(shares) = &*shares else { return };
            let mut statistics = self.statistics.write();
            some.iter().for_each(|entity| statistics.restore(*entity, shares.sum(*entity)));
        }
    }

    /// The catalogue as of now.
    pub fn catalogue(&self) -> Guard<Arc<Catalogue>> {
        self.catalogue.load()
    }

    /// The catalogue as of now, to keep.
    pub fn catalogue_full(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Publishes a new catalogue. Only its one writer calls this.
    pub fn publish_catalogue(&self, catalogue: Catalogue) {
        self.catalogue.store(Arc::new(catalogue));
    }

    /// The names of surfaces.
    pub fn surfaces(&self) -> Guard<Arc<Dictionary<Box<str>>>> {
        self.surfaces.load()
    }

    /// The number of a surface, given now if it is new; 0 is [`DEFAULT_SURFACE`].
    pub fn surface(&self, name: Option<&str>) -> u16 {
        let Some(name) = name else { return 0 };
        if let Some(number) = self.surfaces.load().find(name) {
            return number as u16;
        }
        let _one_writer = self.surfaces_writer.lock();
        let mut surfaces = Dictionary::clone(&self.surfaces.load());
        if surfaces.len() >= MAX_SURFACES {
            return surfaces.find(name).unwrap_or(0) as u16;
        }
        let number = surfaces.intern(&Box::from(name));
        self.surfaces.store(Arc::new(surfaces));
        number as u16
    }

    /// An event as its session takes it, with what could be expected of it now; `None` where the catalogue does not know the
    /// video.
    pub fn resolve(&self, event: &Event) -> Option<Incoming> {
        self.resolve_with(event, None)
    }

    /// An event that was applied before, with what could be expected of it then.
    pub fn resolve_stored(&self, activity: &Activity) -> Option<Incoming> {
        self.resolve_with(&activity.event, Some(activity.expected))
    }

    fn resolve_with(&self, event: &Event, expected: Option<Expected>) -> Option<Incoming> {
        let catalogue = self.catalogue.load();
        let video = catalogue.find(&event.video)?;
        let entry = *catalogue.entry(video)?;
        let surface = self.surface(event.surface.as_deref());
        let now = || self.statistics.read().expected(video, &entry, surface, event.at.seconds());
        Some(Incoming {
            id: event_hash(event.id.as_str()),
            video,
            entry,
            kind: event.kind,
            watch_ms: event.watch_ms.unwrap_or(0),
            at_ms: event.at.millis(),
            surface,
            expected: expected.unwrap_or_else(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use foryou_schemas::{Timestamp, Video};

    use super::*;
    use crate::statistics::Count;

    /// A node's view of one video, and `n` events of it as its sessions applied them.
    fn node() -> Live {
        let live = Live::default();
        let mut catalogue = Catalogue::default();
        let video = Video::parse(br#"{"creator": "c", "category": "k", "duration_ms": 9000}"#).unwrap();
        catalogue.put(&foryou_schemas::VideoId::new("v").unwrap(), video, Timestamp::from_millis(0).unwrap());
        live.publish_catalogue(catalogue);
        live
    }

    fn count(live: &Live, times: std::ops::Range<i64>) -> (u64, Vec<(Entity, Tally)>) {
        let json = |n: i64| {
            let at = Timestamp::from_millis(1_700_000_000_000 + n * 3_600_000).unwrap();
            format!(r#"{{"id": "e{n}", "user": "u{n}", "video": "v", "kind": "like", "at": "{at}"}}"#)
        };
        let events = times.map(|n| {
            let nobody = foryou_schemas::EventId::new("none").unwrap();
            let event = Event::parse(json(n).as_bytes(), Timestamp::now(), || nobody.clone()).unwrap();
            let incoming = live.resolve(&event).unwrap();
            (crate::sessions::state::SessionState::default().apply(&incoming), incoming.entry)
        });
        let events: Vec<_> = events.collect();
        live.count(events.iter().map(|(applied, entry)| (applied, entry, None)))
    }

    #[test]
    fn the_sum_is_what_one_node_would_have_counted() {
        let (a, b, c, all) = (node(), node(), node(), node());
        a.share();
        let before = count(&a, 0..3);
        let theirs = HashMap::from([("b".into(), count(&b, 3..4).1), ("c".into(), count(&c, 4..5).1)]);
        count(&all, 0..5);
        a.set_foreign(&theirs);
        // Said again, by all or by one, it still counts once.
        a.set_foreign(&theirs);
        a.set_foreign(&HashMap::from([("b".into(), theirs["b"].clone())]));
        for entity in [Entity::All, Entity::Video(0), Entity::Category(0)] {
            let (sum, whole) = (a.statistics.read().tally(entity), all.statistics.read().tally(entity));
            assert_eq!((sum.total(Count::Likes), whole.total(Count::Likes)), (5, 5));
            let (sum, whole) = (sum.at(1_700_100_000.0), whole.at(1_700_100_000.0));
            assert!((0..3).all(|w| (sum[w][4] - whole[w][4]).abs() < 1e-4), "{sum:?} {whole:?}");
        }
        // What is stored and told is the own part.
        let (first, own) = count(&a, 5..6);
        assert_eq!((before.0, first), (1, 4));
        let own = own.iter().find(|(entity, _)| *entity == Entity::All).unwrap().1;
        assert_eq!(own.total(Count::Likes), 4);
        assert_eq!(a.changes_since(0).0, 4);
        assert_eq!(a.changes_since(3).1.len(), a.changes_since(0).1.len());
        assert!(a.changes_since(4).1.is_empty());
        let restarted = a.changes_since(0).1;
        a.restart(Statistics::default());
        assert_eq!(a.statistics.read().tally(Entity::All), Tally::default());
        assert!(!restarted.is_empty());
    }
}
