//! The one writer: a task that merges the writes that wait for it, and makes each group durable by way of the journal.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foryou_actors::ports::store::{
    Batch, StoreError,
    creators::{Change, Said},
};
use foryou_schemas::{CreatorId, UserId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    Shared,
    behind::Behind,
    entry::{Acted, Blob, Counted, Entry, Served, Snapshot, Stood},
    erase,
    fan_out::{fan_out, tallies},
    journal::Ownership,
};
use crate::stores::rows;

/// Writes that may wait.
pub const QUEUE: usize = 1_024;
/// Rows after which a group takes in no more of the waiting writes.
const GROUP_ROWS: usize = 16_384;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub enum Command {
    Begin(Reply<()>),
    Write(Batch, Reply<()>),
    Erase(UserId, Reply<bool>),
}

/// The writer of one owner.
pub struct Writer {
    shared: Arc<Shared>,
    standing: Standing,
    behind: Behind,
}

/// How the writer stands to its owner.
#[derive(Clone, Copy)]
enum Standing {
    /// Nothing was written yet, or another took over and the caller knows.
    Outside,
    /// All that was written is whole.
    Owner(Ownership),
    /// Something broke off: the journal tells how far it came.
    Shaken(Ownership),
}

impl Writer {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, standing: Standing::Outside, behind: Behind::default() }
    }

    /// Works until nobody can ask any more.
    pub async fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        let mut next = waiting.recv().await;
        while let Some(command) = next.take() {
            match command {
                Command::Begin(reply) => {
                    let _gone = reply.send(self.own().await.map(|_| ()));
                }
                Command::Erase(user, reply) => {
                    let _gone = reply.send(erase::erase(&self.shared, &user).await);
                }
                Command::Write(batch, reply) => {
                    let (mut rows, mut batches, mut replies) = (weight(&batch), vec![batch], vec![reply]);
                    while rows < GROUP_ROWS && next.is_none() {
                        match waiting.try_recv() {
                            Ok(Command::Write(batch, reply)) => {
                                rows += weight(&batch);
                                batches.push(batch);
                                replies.push(reply);
                            }
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    let done = self.write(batches).await;
                    for reply in replies {
                        let _gone = reply.send(done.clone());
                    }
                }
            }
            if next.is_none() {
                next = self.next(&mut waiting).await;
            }
        }
        let _away = self.catch_up().await;
    }

    /// The next command; while none comes, writes what is behind.
    async fn next(&mut self, waiting: &mut mpsc::Receiver<Command>) -> Option<Command> {
        while let Some(due) = self.behind.due() {
            match timeout_at(due, waiting.recv()).await {
                Ok(command) => return command,
                // What the store does not take now stays in the journal; the next write sees to it.
                Err(_) => {
                    let _away = self.catch_up().await;
                }
            }
        }
        waiting.recv().await
    }

    /// Writes the tallies that are behind.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let Standing::Owner(ownership) = self.standing else {
            // Whoever becomes the owner writes them, out of the journal.
            self.behind.clear();
            return Ok(());
        };
        let written = match self.shared.link.get() {
            Ok(to) => tallies(&to, &self.shared.owner, self.behind.latest())
                .await
                .map_err(|error| self.shared.link.failed(error)),
            Err(error) => Err(error),
        };
        if written.is_err() {
            self.standing = Standing::Shaken(ownership);
        }
        self.behind.clear();
        written
    }

    async fn own(&mut self) -> Result<Ownership, StoreError> {
        let (journals, owner) = (self.shared.journals(), &*self.shared.owner);
        let ownership = match self.standing {
            Standing::Owner(ownership) => return Ok(ownership),
            Standing::Shaken(before) => {
                let resumed = journals.resume(owner, before).await;
                if matches!(resumed, Err(StoreError::Fenced(_))) {
                    self.standing = Standing::Outside;
                }
                resumed?
            }
            Standing::Outside => journals.seize(owner).await?,
        };
        // What another wrote meanwhile may be among them.
        self.shared.unknown.lock().clear();
        self.behind.clear();
        self.standing = Standing::Owner(ownership);
        Ok(ownership)
    }

    async fn write(&mut self, batches: Vec<Batch>) -> Result<(), StoreError> {
        let mut ownership = self.own().await?;
        if self.behind.is_full() || self.behind.due().is_some_and(|due| due <= Instant::now()) {
            self.catch_up().await?;
            ownership = self.own().await?;
        }
        let (entry, order) = self.entry(batches, ownership.order).await?;
        if entry.is_empty() && order == ownership.order {
            return Ok(());
        }
        let written = self.put(ownership, &entry, order).await;
        self.standing = match &written {
            Ok(ownership) => {
                self.behind.add(entry);
                Standing::Owner(*ownership)
            }
            Err(StoreError::Fenced(_)) => Standing::Outside,
            Err(_) => Standing::Shaken(ownership),
        };
        written.map(|_| ())
    }

    /// Writes an entry: to the journal, as committed, to its tables but for the tallies.
    async fn put(&self, ownership: Ownership, entry: &Entry, order: Option<i64>) -> Result<Ownership, StoreError> {
        let (shared, owner) = (&*self.shared, &*self.shared.owner);
        let mut ownership = ownership;
        if entry.is_journaled() || order != ownership.order {
            ownership = shared.journals().put(owner, ownership, entry).await?;
            #[cfg(test)]
            shared.fault(super::Fault::Put)?;
            ownership = shared.journals().commit(owner, ownership, entry.at, order).await?;
            #[cfg(test)]
            shared.fault(super::Fault::Committed)?;
        }
        let notes = shared.noted.lock().missing(entry);
        let to = shared.link.get()?;
        fan_out(&to, shared.kept, entry, &notes).await.map_err(|error| shared.link.failed(error))?;
        shared.noted.lock().remember(notes);
        Ok(ownership)
    }

    /// The rows of a group of batches, and the order number up to which tallies count then. Each event once.
    async fn entry(&self, batches: Vec<Batch>, mut order: Option<i64>) -> Result<(Entry, Option<i64>), StoreError> {
        let mut entry = Entry { at: self.shared.clock.next(), ..Entry::default() };
        let (mut tallies, mut snapshots, mut said) = (HashMap::new(), HashMap::new(), Vec::new());
        for batch in batches {
            for activity in batch.activity {
                let id = rows::hashed_id(&activity.event.id);
                let event = Blob(rows::write_activity(&activity)?);
                entry.activity.push(Acted { user: activity.event.user, seq: activity.seq, id, event });
            }
            snapshots.extend(batch.snapshots.into_iter().map(|(user, seq, bytes)| (user, (seq, bytes))));
            said.extend(batch.creators);
            // Absolute values that an older, repeated batch brings must not replace newer ones.
            let number = batch.order.map(|order| order as i64);
            if number.is_none_or(|number| order.is_none_or(|order| number >= order)) {
                tallies.extend(batch.tallies);
                order = number.or(order);
            }
            for impression in batch.impressions {
                let (at, feed) = (impression.at, &impression.feed);
                entry.feeds.push(Served::new(impression.user, at, feed, impression.record));
            }
        }
        self.keep_new(&mut entry.activity).await?;
        entry.creators = creators(said, &entry.activity);
        for (user, (seq, snapshot)) in snapshots {
            entry.snapshots.push(Snapshot { user, seq, snapshot: Blob(snapshot) });
        }
        for (key, tally) in tallies {
            entry.tallies.push(Counted::new(&key, tally)?);
        }
        Ok((entry, order))
    }

    /// Leaves out events that were written before, and those that come twice.
    async fn keep_new(&self, activity: &mut Vec<Acted>) -> Result<(), StoreError> {
        let unsure: Vec<[u8; 16]> = {
            let mut unknown = self.shared.unknown.lock();
            activity.iter().map(|row| row.id).filter(|id| !unknown.remove(id)).collect()
        };
        let mut met: HashSet<[u8; 16]> = self.shared.ids.known(&self.shared.link, &unsure).await?;
        activity.retain(|row| met.insert(row.id));
        Ok(())
    }
}

/// What becomes of people's creators. All rows of an entry are of one time, so each is written once.
fn creators(said: Vec<Said>, new: &[Acted]) -> Vec<Stood> {
    if said.is_empty() {
        return Vec::new();
    }
    let new: HashSet<&[u8; 16]> = new.iter().map(|row| &row.id).collect();
    let mut changes: HashMap<(UserId, CreatorId), Change> = HashMap::new();
    for Said { user, creator, what, at, event } in said {
        if event.is_none_or(|event| new.contains(&rows::hashed_id(&event))) {
            changes.entry((user, creator)).or_default().add(what, at);
        }
    }
    changes.into_iter().map(|((user, creator), change)| Stood::new(user, &creator, change)).collect()
}

fn weight(batch: &Batch) -> usize {
    batch.activity.len() + batch.snapshots.len() + batch.tallies.len() + batch.impressions.len() + batch.creators.len()
}
