//! Statistics as the feature store keeps them: by public names, one absolute [`Tally`] each.

use std::collections::HashMap;

use crate::{
    catalogue::Catalogue,
    live::Live,
    ports::store::{FeatureStore, StoreError},
    statistics::{Entity, Statistics, Tally, TallyKey},
};

/// The first byte of an encoded tally; after it, postcard.
const VERSION: u8 = 1;

/// Encodes a tally.
pub fn encode(tally: &Tally) -> Vec<u8> {
    // Writing plain numbers to a vector cannot fail.
    postcard::to_extend(tally, vec![VERSION]).unwrap_or_default()
}

/// Decodes a tally.
pub fn decode(bytes: &[u8]) -> Result<Tally, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|error| StoreError::Corrupt(format!("a tally does not decode: {error}")))
        }
        Some((version, _)) => Err(StoreError::Corrupt(format!(
            "a tally has version {version}, this program reads {VERSION}; run the version that wrote it"
        ))),
        None => Err(StoreError::Corrupt("a tally is empty".into())),
    }
}

/// The public name of an entity, if catalogue and surfaces know it.
pub fn key(entity: Entity, catalogue: &Catalogue, live: &Live) -> Option<TallyKey> {
    let video = |number| catalogue.id(number).map(|id| Box::from(id.as_str()));
    Some(match entity {
        Entity::All => TallyKey::All,
        Entity::Video(n) => TallyKey::Video(video(n)?),
        Entity::Creator(n) => TallyKey::Creator(catalogue.creators().name(n)?.as_str().into()),
        Entity::Category(n) => TallyKey::Category(catalogue.categories().name(n)?.clone()),
        Entity::Surface(n) => TallyKey::Surface(live.surfaces().name(u32::from(n))?.clone()),
        Entity::Band(n) => TallyKey::Band(n),
        Entity::SurfaceBand(s, n) => TallyKey::SurfaceBand(live.surfaces().name(u32::from(s))?.clone(), n),
        Entity::Country(c, n) => TallyKey::Country(std::str::from_utf8(&c).ok()?.into(), video(n)?),
    })
}

/// The entity behind a public name, if the catalogue knows it; a new surface gets its number now.
pub fn entity(key: &TallyKey, catalogue: &Catalogue, live: &Live) -> Option<Entity> {
    Some(match key {
        TallyKey::All => Entity::All,
        TallyKey::Video(id) => Entity::Video(catalogue.find_str(id)?),
        TallyKey::Creator(id) => Entity::Creator(catalogue.creators().find(&**id)?),
        TallyKey::Category(name) => Entity::Category(catalogue.categories().find(&**name)?),
        TallyKey::Surface(name) => Entity::Surface(live.surface(Some(name))),
        TallyKey::Band(n) => Entity::Band(*n),
        TallyKey::SurfaceBand(s, n) => Entity::SurfaceBand(live.surface(Some(s)), *n),
        TallyKey::Country(c, id) => Entity::Country(c.as_bytes().try_into().ok()?, catalogue.find_str(id)?),
    })
}

/// Replaces the statistics by what the store holds of all owners. The catalogue must be loaded. Returns how many tallies there are.
pub async fn restore(store: &dyn FeatureStore, live: &Live) -> Result<usize, StoreError> {
    let catalogue = live.catalogue_full();
    let mut own = Statistics::default();
    let mut count = 0;
    let order = store
        .scan_tallies(&mut |(name, bytes)| {
            if let Some(entity) = entity(&name, &catalogue, live) {
                own.restore(entity, decode(&bytes)?);
                count += 1;
            }
            Ok(())
        })
        .await?;
    own.set_order(order);
    live.restart(own);
    Ok(count + refresh_foreign(store, live).await?)
}

/// Takes in what the store holds of all other owners. Returns how many tallies there are.
pub async fn refresh_foreign(store: &dyn FeatureStore, live: &Live) -> Result<usize, StoreError> {
    let catalogue = live.catalogue_full();
    let (mut foreign, mut count) = (HashMap::<Box<str>, Vec<(Entity, Tally)>>::new(), 0);
    store
        .scan_foreign_tallies(&mut |(owner, name, bytes)| {
            if let Some(entity) = entity(&name, &catalogue, live) {
                foreign.entry(owner).or_default().push((entity, decode(&bytes)?));
                count += 1;
            }
            Ok(())
        })
        .await?;
    live.set_foreign(&foreign);
    Ok(count)
}
