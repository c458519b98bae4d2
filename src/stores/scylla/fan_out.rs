//! An entry of the journal into the tables: every row under the entry's time, in batches of one partition each.

use std::{collections::HashMap, future::ready, pin::Pin};

use foryou_schemas::UserId;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self},
};
use scylla::{
    serialize::row::SerializeRow,
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::CqlTimestamp,
};

use super::{
    clock::day,
    entry::{Entry, ID_SHARDS, Served, TALLY_SHARDS, id_shard},
    errors::DriverError,
    link::Connected,
    noted::Note,
};

/// Requests that one write has on the way at a time.
pub const CONCURRENCY: usize = 64;
/// Bytes of a batch: servers warn from 5 KiB on and refuse from 50 KiB on.
const BATCH_BYTES: usize = 16 << 10;
/// What a row weighs beside its variable parts.
const ROW_BYTES: usize = 64;
const DAY_S: i32 = 86_400;

/// How long rows live, seconds.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub activity_s: i32,
    pub ids_s: i32,
}

pub type Job<'a> = Pin<Box<dyn Future<Output = Result<(), DriverError>> + Send + 'a>>;

/// Writes every row of an entry, and `notes`: the days of it that the profiles do not name yet.
pub async fn fan_out(
    to: &Connected,
    kept: Kept,
    owner: &str,
    entry: &Entry,
    notes: &[Note],
) -> Result<(), DriverError> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let days_s = kept.activity_s.saturating_add(DAY_S);
    for note in notes {
        jobs.push(match note {
            Note::Activity { user, day, seq } => {
                Box::pin(insert(to, &to.on.note_day, vec![(entry.at, days_s, *day, *seq as i64, user.as_str())]))
            }
            Note::Feeds { user, day } => {
                Box::pin(insert(to, &to.on.note_feed_day, vec![(entry.at, days_s, vec![*day], user.as_str())]))
            }
        });
    }
    activity(to, kept, entry, &mut jobs);
    ids(to, kept, entry, &mut jobs);
    feeds(to, kept, entry, &mut jobs);
    tallies(to, owner, entry, &mut jobs);
    for row in &entry.snapshots {
        let values = (row.user.as_str(), row.seq as i64, row.snapshot.0.as_slice(), entry.at);
        jobs.push(Box::pin(insert(to, &to.on.put_snapshot, vec![values])));
    }
    run(jobs).await
}

/// Runs jobs, some at a time; the first that fails ends all.
pub async fn run(jobs: Vec<Job<'_>>) -> Result<(), DriverError> {
    stream::iter(jobs).buffer_unordered(CONCURRENCY).try_for_each(|()| ready(Ok(()))).await
}

fn activity<'a>(to: &'a Connected, kept: Kept, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let day = day(entry.at);
    let mut people: HashMap<&UserId, Vec<_>> = HashMap::new();
    for row in &entry.activity {
        let values = (row.user.as_str(), day, row.seq as i64, row.event.0.as_slice(), entry.at, kept.activity_s);
        people.entry(&row.user).or_default().push((ROW_BYTES + row.event.0.len(), values));
    }
    for rows in people.into_values() {
        insert_all(to, &to.on.put_activity, rows, jobs);
    }
}

fn ids<'a>(to: &'a Connected, kept: Kept, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut shards: [Vec<_>; ID_SHARDS as usize] = std::array::from_fn(|_| Vec::new());
    for row in &entry.activity {
        let shard = id_shard(&row.id);
        shards[shard as usize].push((ROW_BYTES, (shard, &row.id[..], entry.at, kept.ids_s)));
    }
    for rows in shards {
        insert_all(to, &to.on.put_id, rows, jobs);
    }
}

fn tallies<'a>(to: &'a Connected, owner: &'a str, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut shards: [Vec<_>; TALLY_SHARDS as usize] = std::array::from_fn(|_| Vec::new());
    for row in &entry.tallies {
        let values = (owner, row.shard(), row.key.0.as_slice(), row.tally.0.as_slice(), entry.at);
        shards[row.shard() as usize].push((ROW_BYTES + row.key.0.len() + row.tally.0.len(), values));
    }
    for rows in shards {
        insert_all(to, &to.on.put_tally, rows, jobs);
    }
}

fn feeds<'a>(to: &'a Connected, kept: Kept, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut partitions: HashMap<(&UserId, i32), Vec<&Served>> = HashMap::new();
    for row in &entry.feeds {
        partitions.entry((&row.user, row.day())).or_default().push(row);
    }
    for ((user, day), rows) in partitions {
        let values = |row: &'a Served| {
            let at = CqlTimestamp(row.at_ms);
            let record = row.record.0.as_slice();
            (ROW_BYTES + record.len(), (user.as_str(), day, at, &*row.feed, record, entry.at, kept.activity_s))
        };
        insert_all(to, &to.on.put_feed, rows.into_iter().map(values), jobs);
    }
}

/// Jobs that insert rows of one partition, given with their sizes.
fn insert_all<'a, V: SerializeRow + Send + Sync + 'a>(
    to: &'a Connected,
    statement: &'a PreparedStatement,
    rows: impl IntoIterator<Item = (usize, V)>,
    jobs: &mut Vec<Job<'a>>,
) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for (size, row) in rows {
        if !batch.is_empty() && bytes + size > BATCH_BYTES {
            jobs.push(Box::pin(insert(to, statement, std::mem::take(&mut batch))));
            bytes = 0;
        }
        batch.push(row);
        bytes += size;
    }
    if !batch.is_empty() {
        jobs.push(Box::pin(insert(to, statement, batch)));
    }
}

/// Inserts rows of one partition.
async fn insert<V: SerializeRow + Sync>(
    to: &Connected,
    statement: &PreparedStatement,
    rows: Vec<V>,
) -> Result<(), DriverError> {
    if let [row] = &rows[..] {
        to.session.execute_unpaged(statement, row).await?;
    } else {
        let statements = rows.iter().map(|_| statement.clone().into()).collect();
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        to.session.batch(&batch, rows).await?;
    }
    Ok(())
}
