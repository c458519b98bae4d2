//! The one writer: a thread that merges the writes that wait for it into one atomic commit with one `fdatasync`.

use std::{
    collections::{HashMap, HashSet},
    thread::JoinHandle,
};

use fjall::{OwnedWriteBatch, PersistMode};
use foryou_actors::ports::store::{
    Batch, StoreError,
    creators::{Change, Said, Standing},
};
use foryou_schemas::{EventId, User, UserId, VideoId};
use tokio::sync::{mpsc, oneshot};

use super::{ORDER, Tables, keys, rows};

/// Writes that may wait for the writer.
const QUEUE: usize = 1_024;
/// Rows after which a commit takes in no more of the waiting writes.
const GROUP_ROWS: usize = 8_192;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub enum Command {
    Write(Batch, Reply<()>),
    PutUsers(Vec<(UserId, User)>, Reply<Vec<bool>>),
    /// Encoded videos.
    PutVideos(Vec<(VideoId, Vec<u8>)>, Reply<()>),
    Erase(UserId, Reply<bool>),
}

/// The way to the writer thread; dropping it lets the thread finish what was sent, and waits for it.
pub struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(tables: Tables, order: u64) -> Result<Self, StoreError> {
        let (commands, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&tables, order, waiting))
            .map_err(|e| StoreError::Away(format!("the writer thread does not start: {e}")))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Sends a command and waits until what it asks for is durable.
    pub async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        if let Some(commands) = &self.commands {
            commands.send(command(reply)).await.map_err(|_| stopped())?;
        }
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        // A thread that panicked has nothing more to write.
        self.thread.take().map(JoinHandle::join);
    }
}

fn stopped() -> StoreError {
    StoreError::Away("its writer has stopped; restart foryou".into())
}

fn run(tables: &Tables, mut order: u64, mut waiting: mpsc::Receiver<Command>) {
    let mut next = waiting.blocking_recv();
    while let Some(first) = next.take() {
        let mut group = Group::new(tables, order);
        let mut taken = Some(first);
        while let Some(command) = taken.take() {
            if let Command::Erase(user, reply) = command {
                // An erasure looks at what is committed, so what came before it is committed first.
                order = group.commit();
                let _ = reply.send(erase(tables, &user));
                group = Group::new(tables, order);
            } else {
                group.add(command);
            }
            if group.batch.len() < GROUP_ROWS {
                taken = waiting.try_recv().ok();
            }
        }
        order = group.commit();
        next = waiting.blocking_recv();
    }
}

/// Answers a caller once the outcome of the commit is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

/// The writes of one commit.
struct Group<'a> {
    tables: &'a Tables,
    batch: OwnedWriteBatch,
    /// Event ids in `batch`.
    ids: HashSet<EventId>,
    /// Persons with rows in `batch`.
    people: HashSet<UserId>,
    /// Rows of creators in `batch`, by key.
    creators: HashMap<Vec<u8>, Standing>,
    order: u64,
    committed_order: u64,
    answers: Vec<Answer>,
    failed: Option<StoreError>,
}

impl<'a> Group<'a> {
    fn new(tables: &'a Tables, order: u64) -> Self {
        Self {
            tables,
            batch: tables.db.batch().durability(Some(PersistMode::SyncData)),
            ids: HashSet::new(),
            people: HashSet::new(),
            creators: HashMap::new(),
            order,
            committed_order: order,
            answers: Vec::new(),
            failed: None,
        }
    }

    fn add(&mut self, command: Command) {
        match command {
            Command::Write(batch, reply) => {
                let added = self.write(batch);
                self.answer(added, reply);
            }
            Command::PutUsers(users, reply) => {
                let added = self.put_users(users);
                self.answer(added, reply);
            }
            Command::PutVideos(videos, reply) => {
                for (id, row) in videos {
                    self.batch.insert(&self.tables.videos, id.as_str(), row);
                }
                self.answer(Ok(()), reply);
            }
            Command::Erase(..) => {}
        }
    }

    /// A command that could not be added whole fails the group: part of it may be in the batch already.
    fn answer<T: Send + 'static>(&mut self, added: Result<T, StoreError>, reply: Reply<T>) {
        match added {
            // Whoever asked may have gone away meanwhile.
            Ok(value) => self.answers.push(Box::new(move |done| {
                let _ = reply.send(done.map(|()| value));
            })),
            Err(error) => {
                self.failed = Some(StoreError::Away(error.to_string()));
                let _ = reply.send(Err(error));
            }
        }
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let tables = self.tables;
        let mut new = HashSet::new();
        for activity in &batch.activity {
            let id = &activity.event.id;
            if self.ids.contains(id) || tables.knows_event(id)? {
                continue;
            }
            self.batch.insert(&tables.ids, id.as_str(), []);
            let key = keys::activity(&activity.event.user, activity.seq);
            self.batch.insert(&tables.activity, key, rows::write_activity(activity)?);
            self.ids.insert(id.clone());
            new.insert(id);
            if !self.people.contains(&activity.event.user) {
                self.people.insert(activity.event.user.clone());
            }
        }
        for said in &batch.creators {
            if said.event.as_ref().is_none_or(|event| new.contains(event)) {
                self.say(said)?;
            }
        }
        for (user, seq, snapshot) in batch.snapshots {
            let mut row = seq.to_be_bytes().to_vec();
            row.extend_from_slice(&snapshot);
            self.batch.insert(&tables.snapshots, user.as_str(), row);
        }
        // Absolute values that an older, repeated batch brings must not replace newer ones.
        if batch.order.is_none_or(|order| order >= self.order) {
            for (key, tally) in batch.tallies {
                self.batch.insert(&tables.tallies, rows::write_tally_key(&key)?, tally);
            }
            if let Some(order) = batch.order {
                self.batch.insert(&tables.meta, ORDER, order.to_be_bytes());
                self.order = order;
            }
        }
        for impression in batch.impressions {
            let key = keys::impression(&impression.user, impression.at, &impression.feed);
            self.batch.insert(&tables.impressions, key, impression.record);
        }
        Ok(())
    }

    fn say(&mut self, said: &Said) -> Result<(), StoreError> {
        let (table, key) = (&self.tables.creators, keys::creator(&said.user, &said.creator));
        let standing = match self.creators.get(&key) {
            Some(standing) => *standing,
            None => match table.get(&key).map_err(super::away)? {
                Some(row) => rows::read_standing(&row)?,
                None => Standing::default(),
            },
        };
        let mut change = Change::default();
        change.add(said.what, said.at);
        let standing = change.apply(standing);
        match standing.relation() {
            Some(_) => self.batch.insert(table, key.clone(), rows::write_standing(&standing)?),
            None => self.batch.remove(table, key.clone()),
        }
        self.creators.insert(key, standing);
        Ok(())
    }

    fn put_users(&mut self, users: Vec<(UserId, User)>) -> Result<Vec<bool>, StoreError> {
        let mut new = Vec::with_capacity(users.len());
        for (id, user) in users {
            new.push(!self.people.contains(&id) && !self.tables.knows(&id)?);
            self.batch.insert(&self.tables.users, id.as_str(), rows::write_user(&user)?);
            self.people.insert(id);
        }
        Ok(new)
    }

    /// Commits and answers everybody; returns the order number that is durable then.
    fn commit(self) -> u64 {
        let done = match self.failed {
            Some(error) => Err(error),
            None => self.batch.commit().map_err(super::away),
        };
        for answer in self.answers {
            answer(done.clone());
        }
        if done.is_err() { self.committed_order } else { self.order }
    }
}

fn erase(tables: &Tables, user: &UserId) -> Result<bool, StoreError> {
    let mut batch = tables.db.batch().durability(Some(PersistMode::SyncData));
    let person = keys::person(user);
    for row in tables.activity.prefix(&person) {
        let (key, value) = row.into_inner().map_err(super::away)?;
        let id = rows::read_event_id(&value)?;
        batch.insert(&tables.erased_ids, rows::hashed_id(&id), []);
        batch.remove(&tables.ids, id.as_str());
        batch.remove(&tables.activity, key);
    }
    for table in [&tables.impressions, &tables.creators] {
        for row in table.prefix(&person) {
            batch.remove(table, row.key().map_err(super::away)?);
        }
    }
    for table in [&tables.users, &tables.snapshots] {
        if table.contains_key(user.as_str()).map_err(super::away)? {
            batch.remove(table, user.as_str());
        }
    }
    let any = !batch.is_empty();
    batch.commit().map_err(super::away)?;
    Ok(any)
}
