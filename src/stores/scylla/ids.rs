//! Which events were written before.

use std::{
    collections::HashSet,
    future::ready,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use foryou_actors::ports::store::StoreError;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use scylla::response::query_result::QueryResult;

use super::{
    batches::CONCURRENCY,
    errors::DriverError,
    link::{Connected, Link},
};

/// Ids that one request asks for; ScyllaDB takes a hundred.
const ASKED: usize = 100;
/// Over how many partitions the earlier table spreads them.
const EARLIER_SHARDS: i32 = 64;

/// A hashed id.
type Id = [u8; 16];

/// The ids of events that were written.
#[derive(Default)]
pub struct WrittenIds {
    /// The table of before migration 7 held some when this process began: it is asked as well.
    earlier: AtomicBool,
}

impl WrittenIds {
    /// Looks whether there is anything from before migration 7.
    pub async fn begin(&self, link: &Link) -> Result<(), StoreError> {
        let to = &*link.get()?;
        let rows = to.session.execute_unpaged(&to.on.any_earlier_id, ()).await.map_err(|error| link.failed(error))?;
        let rows = rows.into_rows_result().map_err(DriverError::answer)?;
        self.earlier.store(rows.rows_num() > 0, Relaxed);
        Ok(())
    }

    /// Those of these ids that were written before.
    pub async fn known(&self, link: &Link, ids: &[Id]) -> Result<HashSet<Id>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let to = &*link.get()?;
        let mut asked: Vec<_> = ids.chunks(ASKED).map(|ids| ask(to, ids).boxed()).collect();
        if self.earlier.load(Relaxed) {
            asked.extend(ids.iter().map(|id| ask_earlier(to, id).boxed()));
        }
        let mut known = HashSet::new();
        let all = stream::iter(asked).buffer_unordered(CONCURRENCY).try_for_each(|ids| {
            known.extend(ids);
            ready(Ok(()))
        });
        all.await.map_err(|error| link.failed(error))?;
        Ok(known)
    }
}

async fn ask(to: &Connected, ids: &[Id]) -> Result<Vec<Id>, DriverError> {
    let answer = match ids {
        // By itself it is asked of a node that would have it.
        [id] => to.session.execute_unpaged(&to.on.known_id, (&id[..],)).await?,
        ids => {
            to.session.execute_unpaged(&to.on.known_ids, (ids.iter().map(|id| &id[..]).collect::<Vec<_>>(),)).await?
        }
    };
    read(answer)
}

async fn ask_earlier(to: &Connected, id: &Id) -> Result<Vec<Id>, DriverError> {
    let shard = i32::from(id[0]) % EARLIER_SHARDS;
    read(to.session.execute_unpaged(&to.on.known_earlier_id, (shard, &id[..])).await?)
}

fn read(answer: QueryResult) -> Result<Vec<Id>, DriverError> {
    let rows = answer.into_rows_result().map_err(DriverError::answer)?;
    let mut known = Vec::with_capacity(rows.rows_num());
    for row in rows.rows::<(&[u8],)>().map_err(DriverError::answer)? {
        let (id,) = row.map_err(DriverError::answer)?;
        known.push(id.try_into().map_err(DriverError::answer)?);
    }
    Ok(known)
}
