//! A session as bytes, by public names: numbers are dense and local to a process, names are for ever.

use foryou_schemas::{CreatorId, VideoId};
use serde::{Deserialize, Serialize};

use super::{
    affinity::{Affinities, Affinity},
    rare::Rare,
    state::{Action, Outcomes, Past, RECENT_IDS, Served, SessionState},
};
use crate::{
    catalogue::Catalogue,
    ports::store::{Activity, StoreError, StoredSession},
    statistics::Rate,
};

/// The first byte of a snapshot; after it, a [`Snapshot`] in postcard.
const VERSION: u8 = 1;

/// What is stored of a session. The profile is not: it changes without an event and is stored by itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    seq: u64,
    /// The names that the rest refers to, each once.
    videos: Vec<Box<str>>,
    creators: Vec<Box<str>>,
    categories: Vec<Box<str>>,
    /// Video, seconds, watch time, outcomes, expected long-view and like rates.
    actions: Vec<(u32, u32, u16, u16, Rate, Rate)>,
    /// Sums over exposures before those: see [`Past`].
    past: [f32; 5],
    category_taste: Taste,
    creator_taste: Taste,
    seen: Vec<(u32, u32)>,
    served: Vec<(u32, u32)>,
    followed: Vec<u32>,
    blocked: Vec<u32>,
    reported: Vec<u32>,
    depth: u32,
    skips_in_row: u32,
    exposures: u32,
    last_at_s: f64,
    recent_ids: [u32; RECENT_IDS],
}

#[derive(Debug, Serialize, Deserialize)]
struct Taste {
    at_s: f64,
    /// Name, shown, enjoyed, refused.
    rows: Vec<(u32, f32, f32, f32)>,
}

/// Encodes a session.
pub fn encode(state: &SessionState, catalogue: &Catalogue) -> Vec<u8> {
    let mut videos = Names::new(|n| catalogue.id(n).map(VideoId::as_str));
    let mut creators = Names::new(|n| catalogue.creators().name(n).map(CreatorId::as_str));
    let mut categories = Names::new(|n| catalogue.categories().name(n).map(|name| &**name));
    let snapshot = Snapshot {
        seq: state.seq,
        actions: state
            .actions
            .iter()
            .filter_map(|a| {
                let outcomes = a.outcomes.bits();
                Some((videos.place(a.video)?, a.at_s, a.watch_ds, outcomes, a.expected, a.expected_like))
            })
            .collect(),
        category_taste: taste(&state.categories, &mut categories),
        creator_taste: taste(&state.creators, &mut creators),
        seen: state.seen.iter().filter_map(|(video, at_s)| Some((videos.place(*video)?, *at_s))).collect(),
        served: state.served.iter().filter_map(|s| Some((videos.place(s.video)?, s.at_s))).collect(),
        followed: state.followed.iter().filter_map(|c| creators.place(*c)).collect(),
        blocked: state.blocked.iter().filter_map(|c| creators.place(*c)).collect(),
        reported: state.reported.iter().filter_map(|v| videos.place(*v)).collect(),
        past: [state.past.shown, state.past.long_views, state.past.surplus, state.past.likes, state.past.like_surplus],
        depth: state.depth,
        skips_in_row: state.skips_in_row,
        exposures: state.exposures,
        last_at_s: state.last_at_s,
        recent_ids: state.recent_ids,
        videos: videos.names,
        creators: creators.names,
        categories: categories.names,
    };
    // Writing plain values to a vector cannot fail.
    postcard::to_extend(&snapshot, vec![VERSION]).unwrap_or_default()
}

/// Decodes a session. Names that the catalogue does not know are left out.
pub fn decode(bytes: &[u8], catalogue: &Catalogue) -> Result<SessionState, StoreError> {
    let snapshot: Snapshot = match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest)
            .map_err(|error| StoreError::Corrupt(format!("a session snapshot does not decode: {error}")))?,
        Some((version, _)) => {
            return Err(StoreError::Corrupt(format!(
                "a session snapshot has version {version}, this program reads {VERSION}; run the version that wrote it"
            )));
        }
        None => return Err(StoreError::Corrupt("a session snapshot is empty".into())),
    };
    let numbers = |names: &[Box<str>], find: &dyn Fn(&str) -> Option<u32>| -> Vec<Option<u32>> {
        names.iter().map(|name| find(name)).collect()
    };
    let videos = numbers(&snapshot.videos, &|id| catalogue.find_str(id));
    let creators = numbers(&snapshot.creators, &|id| catalogue.creators().find(id));
    let categories = numbers(&snapshot.categories, &|name| catalogue.categories().find(name));
    let find = |numbers: &[Option<u32>], place: u32| numbers.get(place as usize).copied().flatten();
    let mut seen: Vec<(u32, u32)> =
        snapshot.seen.iter().filter_map(|(video, at_s)| Some((find(&videos, *video)?, *at_s))).collect();
    // Ordered by number, and numbers may differ from those of the process that wrote this.
    seen.sort_unstable();
    let action = |&(video, at_s, watch_ds, outcomes, expected, expected_like): &(u32, u32, u16, u16, Rate, Rate)| {
        let (video, outcomes) = (find(&videos, video)?, Outcomes::from_bits(outcomes));
        Some(Action { video, at_s, watch_ds, outcomes, expected, expected_like })
    };
    let [shown, long_views, surplus, likes, like_surplus] = snapshot.past;
    let list = |places: &[u32], numbers: &[Option<u32>]| -> Rare<u32> {
        places.iter().filter_map(|place| find(numbers, *place)).collect()
    };
    Ok(SessionState {
        seq: snapshot.seq,
        actions: snapshot.actions.iter().filter_map(action).collect(),
        categories: affinities(&snapshot.category_taste, |place| find(&categories, place)),
        creators: affinities(&snapshot.creator_taste, |place| find(&creators, place)),
        seen: seen.into_iter().collect(),
        served: snapshot
            .served
            .iter()
            .filter_map(|(video, at_s)| Some(Served { video: find(&videos, *video)?, at_s: *at_s }))
            .collect(),
        followed: list(&snapshot.followed, &creators),
        blocked: list(&snapshot.blocked, &creators),
        reported: list(&snapshot.reported, &videos),
        profile: super::state::Profile::default(),
        past: Past { shown, long_views, surplus, likes, like_surplus },
        depth: snapshot.depth,
        skips_in_row: snapshot.skips_in_row,
        exposures: snapshot.exposures,
        last_at_s: snapshot.last_at_s,
        recent_ids: snapshot.recent_ids,
    })
}

/// Rebuilds a session from what the store has: the snapshot, the events after it, the profile.
pub fn rebuild(stored: &StoredSession, live: &crate::live::Live) -> Result<SessionState, StoreError> {
    let mut state = match &stored.snapshot {
        Some(bytes) => decode(bytes, &live.catalogue_full())?,
        None => SessionState::default(),
    };
    state.profile = stored.profile.as_ref().map(Into::into).unwrap_or_default();
    for activity in &stored.tail {
        replay(&mut state, activity, live);
    }
    Ok(state)
}

/// Applies an event that was applied before, under its number of then, so that later events never take a number twice.
fn replay(state: &mut SessionState, activity: &Activity, live: &crate::live::Live) {
    match live.resolve_stored(activity) {
        Some(incoming) => {
            state.seq = activity.seq.saturating_sub(1);
            state.apply(&incoming);
        }
        None => state.seq = activity.seq,
    }
}

fn taste<'a, F: Fn(u32) -> Option<&'a str>>(affinities: &Affinities, names: &mut Names<F>) -> Taste {
    let rows = affinities.rows.iter();
    let rows = rows.filter_map(|row| Some((names.place(row.key)?, row.shown, row.enjoyed, row.refused))).collect();
    Taste { at_s: affinities.at_s, rows }
}

fn affinities(taste: &Taste, find: impl Fn(u32) -> Option<u32>) -> Affinities {
    let rows = taste.rows.iter();
    let row = |&(place, shown, enjoyed, refused): &(u32, f32, f32, f32)| {
        Some(Affinity { key: find(place)?, shown, enjoyed, refused })
    };
    Affinities { at_s: taste.at_s, rows: rows.filter_map(row).collect() }
}

/// Collects names in the order of their first use.
struct Names<F> {
    name: F,
    places: std::collections::HashMap<u32, u32>,
    names: Vec<Box<str>>,
}

impl<'a, F: Fn(u32) -> Option<&'a str>> Names<F> {
    fn new(name: F) -> Self {
        Self { name, places: Default::default(), names: Vec::new() }
    }

    fn place(&mut self, number: u32) -> Option<u32> {
        if let Some(place) = self.places.get(&number) {
            return Some(*place);
        }
        let place = self.names.len() as u32;
        self.names.push((self.name)(number)?.into());
        self.places.insert(number, place);
        Some(place)
    }
}
