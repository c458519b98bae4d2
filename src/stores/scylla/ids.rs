//! Which events were written before.

use std::{collections::HashSet, future::ready};

use foryou_actors::ports::store::StoreError;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{
    entry::{ID_SHARDS, id_shard},
    errors::DriverError,
    fan_out::CONCURRENCY,
    link::{Connected, Link},
};

/// Ids that one request asks for; ScyllaDB takes a hundred.
const ASKED: usize = 100;

/// Those of these hashed ids that were written before.
pub async fn known_ids(link: &Link, ids: &[[u8; 16]]) -> Result<HashSet<[u8; 16]>, StoreError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let to = &*link.get()?;
    let mut shards: [Vec<&[u8]>; ID_SHARDS as usize] = std::array::from_fn(|_| Vec::new());
    for id in ids {
        shards[id_shard(id) as usize].push(id);
    }
    let mut asked = Vec::new();
    for (shard, ids) in (0i32..).zip(&shards) {
        asked.extend(ids.chunks(ASKED).map(|ids| ask(to, shard, ids).boxed()));
    }
    let mut known = HashSet::new();
    let all = stream::iter(asked).buffer_unordered(CONCURRENCY).try_for_each(|ids| {
        known.extend(ids);
        ready(Ok(()))
    });
    all.await.map_err(|error| link.failed(error))?;
    Ok(known)
}

async fn ask(to: &Connected, shard: i32, ids: &[&[u8]]) -> Result<Vec<[u8; 16]>, DriverError> {
    let rows = to.session.execute_unpaged(&to.on.known_ids, (shard, ids)).await?;
    let rows = rows.into_rows_result().map_err(DriverError::answer)?;
    let mut known = Vec::with_capacity(rows.rows_num());
    for row in rows.rows::<(&[u8],)>().map_err(DriverError::answer)? {
        let (id,) = row.map_err(DriverError::answer)?;
        known.push(id.try_into().map_err(DriverError::answer)?);
    }
    Ok(known)
}
