//! What services keep up to date and every request reads: the catalogue and the statistics of this node.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use foryou_schemas::Event;
use parking_lot::{Mutex, RwLock};

use crate::{
    catalogue::Catalogue,
    dictionary::Dictionary,
    ports::store::Activity,
    sessions::state::{Incoming, event_hash},
    statistics::{Expected, Statistics},
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
            surfaces: ArcSwap::from_pointee(surfaces),
            surfaces_writer: Mutex::new(()),
        }
    }
}

impl Live {
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
