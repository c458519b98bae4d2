//! An entry of the journal into the tables: every row under the entry's time, in batches of rows at home on one node.

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
use uuid::Uuid;

use super::{
    behind::Latest,
    clock::day,
    entry::{Entry, ID_SHARDS, TALLY_SHARDS, id_shard, tally_shard},
    errors::DriverError,
    link::Connected,
    noted::Note,
};

/// Requests that one write has on the way at a time.
pub const CONCURRENCY: usize = 64;
/// Bytes of a batch: servers warn from 5 KiB on and refuse from 50 KiB on.
const BATCH_BYTES: usize = 16 << 10;
/// Partitions that share a batch: servers warn of more.
const BATCH_PARTITIONS: usize = 10;
/// What a row weighs beside its variable parts.
const ROW_BYTES: usize = 64;
const DAY_S: i32 = 86_400;

/// How long rows live, seconds.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub activity_s: i32,
    pub ids_s: i32,
    pub rejected_s: i32,
}

pub type Job<'a> = Pin<Box<dyn Future<Output = Result<(), DriverError>> + Send + 'a>>;

/// Writes every row of an entry but its tallies, and `notes`: the days of it that the profiles do not name yet.
pub async fn fan_out(to: &Connected, kept: Kept, entry: &Entry, notes: &[Note]) -> Result<(), DriverError> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let days_s = kept.activity_s.saturating_add(DAY_S);
    let (mut days, mut feed_days) = (Vec::new(), Vec::new());
    for note in notes {
        match note {
            Note::Activity { user, day, seq } => {
                days.push(vec![(ROW_BYTES, (entry.at, days_s, *day, *seq as i64, user.as_str()))]);
            }
            Note::Feeds { user, day } => {
                feed_days.push(vec![(ROW_BYTES, (entry.at, days_s, vec![*day], user.as_str()))]);
            }
        }
    }
    insert_all(to, &to.on.note_day, days, &mut jobs);
    insert_all(to, &to.on.note_feed_day, feed_days, &mut jobs);
    activity(to, kept, entry, &mut jobs);
    ids(to, kept, entry, &mut jobs);
    feeds(to, kept, entry, &mut jobs);
    snapshots(to, entry, &mut jobs);
    creators(to, entry, &mut jobs);
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
    insert_all(to, &to.on.put_activity, people.into_values(), jobs);
}

fn ids<'a>(to: &'a Connected, kept: Kept, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut shards: [Vec<_>; ID_SHARDS as usize] = std::array::from_fn(|_| Vec::new());
    for row in &entry.activity {
        let shard = id_shard(&row.id);
        shards[shard as usize].push((ROW_BYTES, (shard, &row.id[..], entry.at, kept.ids_s)));
    }
    insert_all(to, &to.on.put_id, shards, jobs);
}

/// Writes tallies of an owner.
pub async fn tallies(to: &Connected, owner: &str, latest: &Latest) -> Result<(), DriverError> {
    let mut shards: [Vec<_>; TALLY_SHARDS as usize] = std::array::from_fn(|_| Vec::new());
    for (key, (at, tally)) in latest {
        let shard = tally_shard(key);
        let values = (owner, shard, key.as_slice(), tally.as_slice(), *at);
        shards[shard as usize].push((ROW_BYTES + key.len() + tally.len(), values));
    }
    let mut jobs = Vec::new();
    insert_all(to, &to.on.put_tally, shards, &mut jobs);
    run(jobs).await
}

fn snapshots<'a>(to: &'a Connected, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let rows = entry.snapshots.iter().map(|row| {
        let snapshot = row.snapshot.0.as_slice();
        vec![(ROW_BYTES + snapshot.len(), (row.user.as_str(), row.seq as i64, snapshot, entry.at))]
    });
    insert_all(to, &to.on.put_snapshot, rows, jobs);
}

fn creators<'a>(to: &'a Connected, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut people: HashMap<&UserId, Vec<_>> = HashMap::new();
    for row in &entry.creators {
        let size = ROW_BYTES + row.user.as_str().len() + row.creator.len();
        people.entry(&row.user).or_default().push((size, super::creators::values(row, entry.at)));
    }
    insert_all(to, &to.on.put_creator, people.into_values(), jobs);
}

fn feeds<'a>(to: &'a Connected, kept: Kept, entry: &'a Entry, jobs: &mut Vec<Job<'a>>) {
    let mut partitions: HashMap<(&UserId, i32), Vec<_>> = HashMap::new();
    for row in &entry.feeds {
        let (day, at, record) = (row.day(), CqlTimestamp(row.at_ms), row.record.0.as_slice());
        let values = (row.user.as_str(), day, at, &*row.feed, record, entry.at, kept.activity_s);
        partitions.entry((&row.user, day)).or_default().push((ROW_BYTES + record.len(), values));
    }
    insert_all(to, &to.on.put_feed, partitions.into_values(), jobs);
}

/// Rows that wait for their batch to be full.
struct Open<V> {
    rows: Vec<V>,
    bytes: usize,
    partitions: usize,
}

/// Jobs that insert rows, given by partition and with their sizes: most partitions get one row or two, so that those at home on
/// one node share batches.
fn insert_all<'a, V: SerializeRow + Send + Sync + 'a>(
    to: &'a Connected,
    statement: &'a PreparedStatement,
    partitions: impl IntoIterator<Item = Vec<(usize, V)>>,
    jobs: &mut Vec<Job<'a>>,
) {
    let mut nodes: HashMap<Option<Uuid>, Open<V>> = HashMap::new();
    for rows in partitions {
        let Some((_, first)) = rows.first() else { continue };
        let home = to.home(statement, first);
        let open = nodes.entry(home).or_insert_with(|| Open { rows: Vec::new(), bytes: 0, partitions: 0 });
        let mut begins = true;
        for (size, row) in rows {
            let full = open.bytes + size > BATCH_BYTES || (begins && open.partitions == BATCH_PARTITIONS);
            if full && !open.rows.is_empty() {
                jobs.push(Box::pin(insert(to, statement, std::mem::take(&mut open.rows))));
                (open.bytes, open.partitions, begins) = (0, 0, true);
            }
            open.partitions += usize::from(std::mem::take(&mut begins));
            open.bytes += size;
            open.rows.push(row);
        }
    }
    for open in nodes.into_values() {
        if !open.rows.is_empty() {
            jobs.push(Box::pin(insert(to, statement, open.rows)));
        }
    }
}

/// Inserts rows at home on one node.
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
