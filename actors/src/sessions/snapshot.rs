//! A session as bytes, by public names: numbers are dense and local to a process, names are for ever.

use std::collections::HashMap;

use foryou_schemas::{CreatorId, Timestamp, UserId, VideoId};
use serde::{Deserialize, Serialize};

use super::{
    affinity::{Affinities, Affinity},
    rare::Rare,
    state::{Action, MAX_FOLLOWED, Outcomes, Past, RECENT_IDS, Served, SessionState},
};
use crate::{
    catalogue::Catalogue,
    ports::store::{
        Activity, StoreError, StoredSession,
        creators::{Said, Standing, What},
    },
    statistics::Rate,
};

/// The first byte of a snapshot; after it, a [`Snapshot`] in postcard.
const VERSION: u8 = 2;
/// The version that held all followed and blocked creators, before they had a table.
const WITH_CREATORS: u8 = 1;

/// What is stored of a session, bounded. The profile is not: it changes without an event and is stored by itself. Nor are followed and
/// blocked creators: there may be any number, and they have a table.
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
    /// Empty but for [`WITH_CREATORS`].
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

/// Encodes a session, but for the creators that it follows and blocks: see [`Snapshot`].
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
        followed: Vec::new(),
        blocked: Vec::new(),
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

/// Decodes a session, but for the creators that it follows and blocks. Names that the catalogue does not know are left out.
pub fn decode(bytes: &[u8], catalogue: &Catalogue) -> Result<SessionState, StoreError> {
    let snapshot: Snapshot = match bytes.split_first() {
        Some((&(VERSION | WITH_CREATORS), rest)) => postcard::from_bytes(rest)
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

/// A session out of the store.
pub struct Rebuilt {
    /// The session.
    pub state: SessionState,
    /// What it knows of creators and the store's table of them does not: it is from before that table, and is to be written.
    pub untold: Vec<Said>,
}

/// Rebuilds a session from what the store has: the snapshot, the creators, the events after the snapshot, the profile.
pub fn rebuild(user: &UserId, stored: &StoredSession, live: &crate::live::Live) -> Result<Rebuilt, StoreError> {
    let catalogue = live.catalogue_full();
    let mut state = match &stored.snapshot {
        Some(bytes) => decode(bytes, &catalogue)?,
        None => SessionState::default(),
    };
    state.profile = stored.profile.as_ref().map(Into::into).unwrap_or_default();
    let is_old = stored.snapshot.as_ref().is_some_and(|bytes| bytes.first() == Some(&WITH_CREATORS));
    if !is_old {
        // As of now, not of the snapshot: the events after it say the same once more.
        (state.followed, state.blocked) = creators(&stored.creators, &catalogue);
    }
    for activity in &stored.tail {
        replay(&mut state, activity, live);
    }
    let may_be_untold = is_old || stored.snapshot.is_none();
    let untold = if may_be_untold { untold(user, &state, &stored.creators, &catalogue) } else { Vec::new() };
    Ok(Rebuilt { state, untold })
}

/// Followed and blocked creators, each the newest last.
fn creators(stored: &[(CreatorId, Standing)], catalogue: &Catalogue) -> (Rare<u32>, Rare<u32>) {
    let list = |since: fn(&Standing) -> Option<Timestamp>, max: usize| -> Rare<u32> {
        let mut all: Vec<(Timestamp, &CreatorId)> =
            stored.iter().filter_map(|(creator, standing)| Some((since(standing)?, creator))).collect();
        all.sort_unstable();
        let known: Vec<u32> =
            all.iter().filter_map(|(_, creator)| catalogue.creators().find(creator.as_str())).collect();
        known[known.len().saturating_sub(max)..].iter().copied().collect()
    };
    (list(|standing| standing.followed, MAX_FOLLOWED), list(|standing| standing.blocked, usize::MAX))
}

/// What a session from before the table knows of creators and the table does not.
fn untold(user: &UserId, state: &SessionState, stored: &[(CreatorId, Standing)], catalogue: &Catalogue) -> Vec<Said> {
    let told: HashMap<&str, &Standing> =
        stored.iter().map(|(creator, standing)| (creator.as_str(), standing)).collect();
    let at = Timestamp::from_millis((state.last_at_s * 1e3) as i64).unwrap_or_else(Timestamp::now);
    let list = |numbers: &[u32], what: What, is_told: fn(&Standing) -> bool| -> Vec<Said> {
        let names = numbers.iter().filter_map(|number| catalogue.creators().name(*number));
        let untold = names.filter(|name| !told.get(name.as_str()).is_some_and(|standing| is_told(standing)));
        untold.map(|name| Said { user: user.clone(), creator: name.clone(), what, at, event: None }).collect()
    };
    // A follow after the block stays: what is said first is overruled.
    let mut said = list(&state.blocked, What::Block, |standing| standing.blocked.is_some());
    said.extend(list(&state.followed, What::Follow, |standing| standing.followed.is_some()));
    said
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
    places: HashMap<u32, u32>,
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

#[cfg(test)]
mod tests {
    use foryou_schemas::Video;

    use super::*;

    fn name(creator: &str) -> CreatorId {
        CreatorId::new(creator).unwrap()
    }

    fn live(creators: &[&str]) -> crate::live::Live {
        let (live, mut catalogue) = (crate::live::Live::default(), Catalogue::default());
        for creator in creators {
            let json = format!(r#"{{"creator": "{creator}", "category": "k", "duration_ms": 9000}}"#);
            let video = Video::parse(json.as_bytes()).unwrap();
            catalogue.put(&VideoId::new(format!("of {creator}")).unwrap(), video, Timestamp::now());
        }
        live.publish_catalogue(catalogue);
        live
    }

    /// As version 1 wrote it, for a person who follows two creators and blocks a third.
    fn old() -> Vec<u8> {
        let taste = || Taste { at_s: 0.0, rows: Vec::new() };
        let snapshot = Snapshot {
            seq: 5,
            videos: Vec::new(),
            creators: ["a", "b", "c", "gone"].map(Box::from).to_vec(),
            categories: Vec::new(),
            actions: Vec::new(),
            past: [0.0; 5],
            category_taste: taste(),
            creator_taste: taste(),
            seen: Vec::new(),
            served: Vec::new(),
            followed: vec![1, 0],
            blocked: vec![2, 3],
            reported: Vec::new(),
            depth: 0,
            skips_in_row: 0,
            exposures: 0,
            last_at_s: 1_700_000_000.5,
            recent_ids: [0; RECENT_IDS],
        };
        postcard::to_extend(&snapshot, vec![WITH_CREATORS]).unwrap()
    }

    #[test]
    fn what_a_snapshot_of_before_holds_of_creators_is_kept_and_goes_into_their_table() {
        let live = live(&["c", "b", "a"]);
        let ann = UserId::new("ann").unwrap();
        let told = (name("a"), Standing { followed: Timestamp::from_millis(7), blocked: None });
        let stored = StoredSession { snapshot: Some(old()), creators: vec![told], ..StoredSession::default() };
        let Rebuilt { state, untold } = rebuild(&ann, &stored, &live).unwrap();
        assert_eq!((state.seq, &*state.followed, &*state.blocked), (5, &[1, 2][..], &[0][..]));
        let said: Vec<_> = untold.iter().map(|said| (said.creator.as_str(), said.what, said.at.millis())).collect();
        assert_eq!(said, [("c", What::Block, 1_700_000_000_500), ("b", What::Follow, 1_700_000_000_500)]);
        // Written again, it is one of now: the table tells, and knows more than this catalogue.
        let standing = |ms| Standing { followed: Timestamp::from_millis(ms), blocked: None };
        let blocked = Standing { followed: None, blocked: Timestamp::from_millis(1) };
        let creators =
            vec![(name("a"), standing(9)), (name("b"), standing(8)), (name("z"), standing(5)), (name("c"), blocked)];
        let snapshot = Some(encode(&state, &live.catalogue_full()));
        let stored = StoredSession { snapshot, creators, ..StoredSession::default() };
        let again = rebuild(&ann, &stored, &live).unwrap();
        assert!(again.untold.is_empty());
        assert_eq!(again.state, state);
    }

    #[test]
    fn a_snapshot_does_not_grow_with_those_whom_one_follows_and_memory_holds_the_newest() {
        let names: Vec<String> = (0..MAX_FOLLOWED + 50).map(|n| format!("creator {n}")).collect();
        let live = live(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let at = |n: usize| Timestamp::from_millis(n as i64);
        let creators = names.iter().enumerate().map(|(n, creator)| {
            (name(creator), Standing { followed: at(n), blocked: at(n).filter(|_| n.is_multiple_of(2)) })
        });
        let stored = StoredSession { creators: creators.collect(), ..StoredSession::default() };
        let state = rebuild(&UserId::new("ann").unwrap(), &stored, &live).unwrap().state;
        assert_eq!((state.followed.len(), state.followed[0]), (MAX_FOLLOWED, 50));
        assert_eq!(state.blocked.len(), names.len() / 2, "all of them");
        let empty = encode(&SessionState::default(), &live.catalogue_full());
        assert_eq!(encode(&state, &live.catalogue_full()).len(), empty.len());
    }
}
