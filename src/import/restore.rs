//! The engine's state as the store keeps it: catalogue and statistics of this node, and one person's session.

use std::collections::HashMap;

use foryou_actors::{
    catalogue::Catalogue,
    live::Live,
    ports::store::{Activity, FeatureStore, StoreError, StoredSession},
    sessions::state::{Applied, Profile, SessionState},
    statistics::{Entity, Tally, TallyKey},
};
use foryou_schemas::{Country, Timestamp, VideoId};

/// Loads catalogue and statistics; activity that the stored statistics do not count yet is folded in.
pub async fn live(store: &dyn FeatureStore, now: Timestamp) -> Result<Live, StoreError> {
    let live = Live::default();
    let mut catalogue = Catalogue::default();
    store
        .scan_videos(&mut |(id, video)| {
            catalogue.put(&id, video, now);
            Ok(())
        })
        .await?;
    live.publish_catalogue(catalogue);
    let counted = store
        .scan_tallies(&mut |(key, bytes)| {
            let tally: Tally = postcard::from_bytes(&bytes)
                .map_err(|e| StoreError::Corrupt(format!("the tally of {key:?} ({e}); restore a backup")))?;
            if let Some(entity) = entity(&live, &key) {
                live.statistics.write().restore(entity, tally);
            }
            Ok(())
        })
        .await?;
    live.statistics.write().set_order(counted);
    let mut uncounted = Vec::new();
    store
        .scan_activity(&mut |activity| {
            if activity.order > counted {
                uncounted.push(activity);
            }
            Ok(())
        })
        .await?;
    uncounted.sort_by_key(|activity| activity.order);
    let mut countries = HashMap::new();
    for activity in uncounted {
        let user = &activity.event.user;
        if !countries.contains_key(user) {
            let profile = store.user(user).await?.unwrap_or_default();
            countries.insert(user.clone(), profile.country.map(Country::bytes));
        }
        count(&live, &activity, countries.get(user).copied().flatten());
    }
    Ok(live)
}

/// Folds one event into the statistics, as it was when it was applied.
fn count(live: &Live, activity: &Activity, country: Option<[u8; 2]>) {
    let Some(incoming) = live.resolve(&activity.event) else { return };
    let applied = Applied {
        seq: activity.seq,
        video: incoming.video,
        surface: incoming.surface,
        at_s: activity.event.at.seconds(),
        gained: activity.gained,
        lost: activity.lost,
        watch_ms: incoming.watch_ms,
    };
    live.statistics.write().apply(activity.order, &applied, &incoming.entry, country);
}

/// Rebuilds a session from its profile and activity.
pub fn session(stored: &StoredSession, live: &Live) -> SessionState {
    let mut session = SessionState::default();
    if let Some(user) = &stored.profile {
        session.profile = Profile::from(user);
    }
    for activity in &stored.tail {
        if let Some(incoming) = live.resolve(&activity.event) {
            session.apply(&incoming);
        }
        session.seq = activity.seq;
    }
    session
}

/// What the store calls an entity, and its tally as bytes. `None`: the catalogue does not know it.
pub fn tally(live: &Live, entity: Entity) -> Option<(TallyKey, Vec<u8>)> {
    let catalogue = live.catalogue();
    let video = |n| catalogue.id(n).map(|id| Box::from(id.as_str()));
    let key = match entity {
        Entity::All => TallyKey::All,
        Entity::Video(n) => TallyKey::Video(video(n)?),
        Entity::Creator(n) => TallyKey::Creator(catalogue.creators().name(n)?.as_str().into()),
        Entity::Category(n) => TallyKey::Category(catalogue.categories().name(n)?.clone()),
        Entity::Surface(n) => TallyKey::Surface(live.surfaces().name(n.into())?.clone()),
        Entity::Country(code, n) => TallyKey::Country(std::str::from_utf8(&code).ok()?.into(), video(n)?),
    };
    let bytes = postcard::to_stdvec(&live.statistics.read().tally(entity)).ok()?;
    Some((key, bytes))
}

/// The inverse of [`tally`]'s key. `None`: nothing in the catalogue goes by that name any more.
fn entity(live: &Live, key: &TallyKey) -> Option<Entity> {
    let catalogue = live.catalogue();
    let video = |id: &str| catalogue.find(&VideoId::new(id).ok()?);
    Some(match key {
        TallyKey::All => Entity::All,
        TallyKey::Video(id) => Entity::Video(video(id)?),
        TallyKey::Creator(id) => Entity::Creator(catalogue.creators().find(&**id)?),
        TallyKey::Category(name) => Entity::Category(catalogue.categories().find(&**name)?),
        TallyKey::Surface(name) => Entity::Surface(live.surface(Some(name))),
        TallyKey::Country(code, id) => Entity::Country(code.as_bytes().try_into().ok()?, video(id)?),
    })
}
