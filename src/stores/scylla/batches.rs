//! Rows into requests. What costs a server is the partition, not the row: rows of one partition, whatever their tables, are one
//! change of it, and partitions that are at home on one node share an unlogged batch.

use std::{collections::HashMap, future::ready, pin::Pin};

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::{
    errors::SerializationError,
    serialize::{
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};
use uuid::Uuid;

use super::{errors::DriverError, link::Connected};

/// Requests that one write has on the way at a time. With more of them a small server is no quicker, and who asks it meanwhile waits
/// behind them all.
pub const CONCURRENCY: usize = 8;
/// Bytes of a batch: Cassandra refuses 50 KiB, ScyllaDB warns from 128 KiB on.
const BATCH_BYTES: usize = 32 << 10;
/// Partitions that share a batch: servers warn of more.
const BATCH_PARTITIONS: usize = 10;
/// What a row weighs beside its variable parts.
const ROW_BYTES: usize = 64;

pub type Job<'a> = Pin<Box<dyn Future<Output = Result<(), DriverError>> + Send + 'a>>;

/// Runs jobs, some at a time; the first that fails ends all.
pub async fn run(jobs: Vec<Job<'_>>) -> Result<(), DriverError> {
    stream::iter(jobs).buffer_unordered(CONCURRENCY).try_for_each(|()| ready(Ok(()))).await
}

/// The key of a partition, in whichever tables it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key<'a> {
    /// `user`.
    Person(&'a str),
    /// `user, day`.
    Day(&'a str, i32),
    /// `id`, of an event.
    Event(&'a [u8; 16]),
    /// `owner, shard`, of one owner.
    Tallies(i32),
}

/// An insertion.
struct Row<'a> {
    statement: &'a PreparedStatement,
    values: Box<dyn SerializeRow + Send + Sync + 'a>,
    bytes: usize,
}

impl SerializeRow for Row<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        self.values.serialize(context, writer)
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Rows to be inserted, by partition. Inserting them again changes nothing.
#[derive(Default)]
pub struct Rows<'a>(HashMap<Key<'a>, Vec<Row<'a>>>);

impl<'a> Rows<'a> {
    /// Adds a row; `variable` is what the parts of it weigh that have no fixed length, in bytes.
    pub fn add(
        &mut self,
        key: Key<'a>,
        statement: &'a PreparedStatement,
        variable: usize,
        values: impl SerializeRow + Send + Sync + 'a,
    ) {
        let row = Row { statement, values: Box::new(values), bytes: ROW_BYTES + variable };
        self.0.entry(key).or_default().push(row);
    }

    /// Inserts all.
    pub async fn insert(self, to: &Connected) -> Result<(), DriverError> {
        let mut nodes: HashMap<Option<Uuid>, Open<'a>> = HashMap::new();
        let mut full = Vec::new();
        for rows in self.0.into_values() {
            let Some(first) = rows.first() else { continue };
            nodes.entry(to.home(first.statement, first)).or_default().add(rows, &mut full);
        }
        full.extend(nodes.into_values().map(|open| open.rows));
        run(full.into_iter().map(|rows| -> Job<'_> { Box::pin(send(to, rows)) }).collect()).await
    }
}

/// Rows that wait for their batch to be full.
#[derive(Default)]
struct Open<'a> {
    rows: Vec<Row<'a>>,
    bytes: usize,
    partitions: usize,
}

impl<'a> Open<'a> {
    fn add(&mut self, partition: Vec<Row<'a>>, full: &mut Vec<Vec<Row<'a>>>) {
        let mut begins = true;
        for row in partition {
            let over = self.bytes + row.bytes > BATCH_BYTES || (begins && self.partitions == BATCH_PARTITIONS);
            if over && !self.rows.is_empty() {
                full.push(std::mem::take(self).rows);
                begins = true;
            }
            self.partitions += usize::from(std::mem::take(&mut begins));
            self.bytes += row.bytes;
            self.rows.push(row);
        }
    }
}

async fn send(to: &Connected, rows: Vec<Row<'_>>) -> Result<(), DriverError> {
    match &rows[..] {
        [] => {}
        [row] => {
            to.session.execute_unpaged(row.statement, row).await?;
        }
        rows => {
            let statements = rows.iter().map(|row| row.statement.clone().into()).collect();
            let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
            batch.set_is_idempotent(true);
            to.session.batch(&batch, rows).await?;
        }
    }
    Ok(())
}
