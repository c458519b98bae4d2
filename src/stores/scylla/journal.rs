//! Who may write as an owner, and the batch that an owner is writing.
//!
//! A batch spans partitions, so no server writes it as a whole. It is first written to the owner's journal; a conditional update of
//! the owner's row then commits it, if the epoch is still the writer's; then its rows go to their tables. Whoever takes the
//! owner over raises the epoch, which shuts the former writer out, and writes the rows of the last committed batch again, and the
//! tallies of those before it, which may be behind.

use foryou_actors::ports::store::StoreError;
use futures_util::{FutureExt, Stream, StreamExt, future::try_join_all, stream};
use scylla::{
    errors::ExecutionError,
    response::query_result::QueryResult,
    value::{CqlValue, Row},
};

use super::{
    behind::{Latest, merge},
    clock::Clock,
    entry::Entry,
    errors::DriverError,
    fan_out::{Kept, fan_out, tallies},
    link::{Connected, Link},
    noted::Noted,
};

/// Bytes of a batch that are written as one row.
const PART_BYTES: usize = 512 << 10;
/// Batches that are kept: the latest that were committed, and the next.
const SLOTS: i64 = 64;
/// The latest committed batches, all of which the journal has, even while the next one is put.
pub const KEPT: i64 = SLOTS - 1;
/// Batches that are read at a time.
const AHEAD: usize = 8;
/// How often taking over is tried while others write the same row.
const ATTEMPTS: usize = 100;

/// The right to write as an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    epoch: i64,
    committed: i64,
    /// The order number up to which the owner's tallies count, where there are any.
    pub order: Option<i64>,
    /// Number of the latest batch that may have taken more than one row of the journal.
    long: Option<i64>,
}

impl Ownership {
    /// Whether the slot of the next batch may hold rows of an earlier, longer one.
    fn is_slot_long(&self) -> bool {
        self.long.is_some_and(|long| self.committed + 1 - long <= SLOTS)
    }
}

#[derive(scylla::DeserializeRow)]
struct OwnerRow {
    epoch: i64,
    journal_epoch: i64,
    committed: i64,
    at: i64,
    last_order: Option<i64>,
}

/// The journals of all owners.
pub struct Journals<'a> {
    pub link: &'a Link,
    pub clock: &'a Clock,
    pub kept: Kept,
}

impl Journals<'_> {
    /// Becomes the writer of an owner: shuts the former one out and completes what it began.
    pub async fn seize(&self, owner: &str) -> Result<Ownership, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(ownership) = self.try_seize(owner).await? {
                return Ok(ownership);
            }
        }
        Err(StoreError::Away(format!("others write as {owner:?} all the time: does another node have the same name?")))
    }

    async fn try_seize(&self, owner: &str) -> Result<Option<Ownership>, StoreError> {
        let to = &*self.link.get()?;
        let Some(row) = self.row(to, owner).await? else {
            let applied =
                self.is_applied(to.session.execute_unpaged(&to.on.new_owner, (owner, self.clock.next()))).await?;
            return Ok(applied.then_some(Ownership { epoch: 1, committed: 0, order: None, long: None }));
        };
        self.clock.saw(row.at);
        let epoch = row.epoch + 1;
        let values = (epoch, owner, row.epoch, row.journal_epoch, row.committed);
        if !self.is_applied(to.session.execute_unpaged(&to.on.seize, values)).await? {
            return Ok(None);
        }
        self.redo(to, owner, &row).await?;
        // Where this is not applied, somebody took over from here meanwhile, and did the same.
        if self.is_applied(to.session.execute_unpaged(&to.on.redone, (epoch, owner, epoch))).await? {
            let dropped = to.session.execute_unpaged(&to.on.drop_journal, (owner, row.journal_epoch)).await;
            dropped.map_err(|error| self.link.failed(error))?;
        }
        Ok(Some(Ownership { epoch, committed: 0, order: row.last_order, long: None }))
    }

    /// Goes on as the writer of an owner after something failed: completes what may be half done. Fails where another took over.
    pub async fn resume(&self, owner: &str, before: Ownership) -> Result<Ownership, StoreError> {
        let to = &*self.link.get()?;
        match self.row(to, owner).await? {
            Some(row) if row.epoch == before.epoch => {
                self.redo(to, owner, &row).await?;
                // What broke off may have been a long one.
                let long = Some(row.committed + 1);
                Ok(Ownership { committed: row.committed, order: row.last_order, long, ..before })
            }
            _ => Err(fenced(owner)),
        }
    }

    /// Writes the rows of the latest committed batch again, and the tallies of all that the journal has.
    async fn redo(&self, to: &Connected, owner: &str, row: &OwnerRow) -> Result<(), StoreError> {
        let mut latest = Latest::new();
        let mut batches = self.committed(to, owner, row);
        while let Some((number, entry)) = batches.next().await {
            let entry = entry?;
            if number == row.committed {
                let notes = Noted::default().missing(&entry);
                fan_out(to, self.kept, &entry, &notes).await.map_err(|error| self.link.failed(error))?;
            }
            merge(&mut latest, entry);
        }
        tallies(to, owner, &latest).await.map_err(|error| self.link.failed(error))
    }

    /// The committed batches that the journal has, in order, with their numbers.
    fn committed<'a>(
        &'a self,
        to: &'a Connected,
        owner: &'a str,
        row: &OwnerRow,
    ) -> impl Stream<Item = (i64, Result<Entry, StoreError>)> + Send + Unpin + 'a {
        let (epoch, committed) = (row.journal_epoch, row.committed);
        let numbers = stream::iter((committed - KEPT + 1).max(1)..=committed);
        let read = move |number| async move { (number, self.read(to, owner, epoch, number).await) }.boxed();
        numbers.map(read).buffered(AHEAD)
    }

    /// The latest tallies in an owner's journal, and the order number up to which the owner's tallies count.
    pub async fn behind(&self, owner: &str) -> Result<(u64, Latest), StoreError> {
        let to = &*self.link.get()?;
        let mut latest = Latest::new();
        let Some(row) = self.row(to, owner).await? else { return Ok((0, latest)) };
        let mut batches = self.committed(to, owner, &row);
        while let Some((_, entry)) = batches.next().await {
            match entry {
                Ok(entry) => merge(&mut latest, entry),
                // The owner goes on meanwhile: before it writes over a batch, that one's tallies are in the table.
                Err(StoreError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((row.last_order.unwrap_or(0) as u64, latest))
    }

    /// Writes a batch to the journal; it does not count yet.
    pub async fn put(&self, owner: &str, before: Ownership, entry: &Entry) -> Result<Ownership, StoreError> {
        let to = &*self.link.get()?;
        let bytes = entry.encode()?;
        let number = before.committed + 1;
        let slot = (number % SLOTS) as i32;
        let is_long = bytes.len() > PART_BYTES;
        // An empty part ends it where others may follow; most batches are one row in a slot that never had more.
        let end: Option<&[u8]> = (is_long || before.is_slot_long()).then_some(&[]);
        let parts = bytes.chunks(PART_BYTES).chain(end).zip(0i32..).map(|(part, n)| {
            to.session.execute_unpaged(&to.on.put_journal, (owner, before.epoch, slot, n, part, entry.at))
        });
        try_join_all(parts).await.map_err(|error| self.link.failed(error))?;
        Ok(Ownership { long: if is_long { Some(number) } else { before.long }, ..before })
    }

    /// Commits the batch that was put: when this returns, its rows will be in their tables, whatever happens to this process.
    pub async fn commit(
        &self,
        owner: &str,
        before: Ownership,
        at: i64,
        order: Option<i64>,
    ) -> Result<Ownership, StoreError> {
        let to = &*self.link.get()?;
        let after = Ownership { committed: before.committed + 1, order, ..before };
        let values = (after.committed, at, order, owner, before.epoch, before.committed);
        if self.is_applied(to.session.execute_unpaged(&to.on.commit, values)).await? {
            return Ok(after);
        }
        match self.row(to, owner).await? {
            // A commit that seemed lost has come after all.
            Some(row) if row.epoch == before.epoch => {
                Err(StoreError::Away("an earlier write came late; try again".into()))
            }
            _ => Err(fenced(owner)),
        }
    }

    async fn row(&self, to: &Connected, owner: &str) -> Result<Option<OwnerRow>, StoreError> {
        let rows = to.session.execute_unpaged(&to.on.owner, (owner,)).await.map_err(|error| self.link.failed(error))?;
        let rows = rows.into_rows_result().map_err(DriverError::answer)?;
        Ok(rows.maybe_first_row().map_err(DriverError::answer)?)
    }

    async fn read(&self, to: &Connected, owner: &str, epoch: i64, number: i64) -> Result<Entry, StoreError> {
        let slot = (number % SLOTS) as i32;
        let rows = to.session.execute_unpaged(&to.on.journal, (owner, epoch, slot)).await;
        let rows = rows.map_err(|error| self.link.failed(error))?.into_rows_result().map_err(DriverError::answer)?;
        let mut bytes = Vec::new();
        for part in rows.rows::<(i32, Vec<u8>)>().map_err(DriverError::answer)? {
            let (_, part) = part.map_err(DriverError::answer)?;
            // An empty part ends a batch; what follows is of a longer one before it.
            if part.is_empty() {
                break;
            }
            bytes.extend(part);
        }
        Entry::decode(&bytes)
    }

    async fn is_applied(
        &self,
        update: impl Future<Output = Result<QueryResult, ExecutionError>>,
    ) -> Result<bool, StoreError> {
        let answer = update.await.map_err(|error| self.link.failed(error))?;
        Ok(applied(answer)?)
    }
}

fn fenced(owner: &str) -> StoreError {
    StoreError::Fenced(format!("what {owner:?} began was completed by the node that did"))
}

/// Whether a conditional update was applied.
pub fn applied(answer: QueryResult) -> Result<bool, DriverError> {
    let rows = answer.into_rows_result().map_err(DriverError::answer)?;
    // Some servers answer with more columns than this one.
    let place = rows.column_specs().iter().position(|column| column.name() == "[applied]");
    let row: Row = rows.first_row().map_err(DriverError::answer)?;
    match place.and_then(|place| row.columns.into_iter().nth(place)) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(applied),
        _ => Err(DriverError::Failed("a conditional update does not say whether it was applied".into())),
    }
}
