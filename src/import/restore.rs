//! The engine's state as the store keeps it: catalogue and statistics of this node.

use std::collections::HashMap;

use foryou_actors::{
    catalogue::Catalogue,
    live::Live,
    ports::store::{Activity, FeatureStore, StoreError},
    sessions::state::Applied,
    tallies,
};
use foryou_schemas::{Country, Timestamp};

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
            if let Some(entity) = tallies::entity(&key, &live.catalogue(), &live) {
                live.statistics.write().restore(entity, tallies::decode(&bytes)?);
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
    let Some(incoming) = live.resolve_stored(activity) else { return };
    let applied = Applied {
        seq: activity.seq,
        video: incoming.video,
        surface: incoming.surface,
        at_s: activity.event.at.seconds(),
        gained: activity.gained,
        lost: activity.lost,
        watch_ms: incoming.watch_ms,
        expected: activity.expected,
    };
    live.statistics.write().apply(activity.order, &applied, &incoming.entry, country);
}
