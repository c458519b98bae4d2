//! The feature store of a single node, in a folder: `fjall`, a log-structured merge tree with an atomic journal.

mod keys;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use fjall::{Database, Guard, Iter, Keyspace, KeyspaceCreateOptions, Readable, Slice};
use foryou_actors::{
    ports::store::{
        Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit,
        creators::{Before, Newest, Related, Standing},
    },
    statistics::TallyKey,
};
use foryou_schemas::{CreatorId, EventId, User, UserId, Video, VideoId};

use super::rows;
use writer::{Command, Writer};

/// The layout of keyspaces, keys and values; a folder of another one is refused.
const FORMAT: u64 = 1;
const ORDER: &str = "order";
/// Bounds what a start has to read again (half a second), at the price of more frequent flushes.
const JOURNAL_BYTES: u64 = 64 << 20;
const MEMTABLE_BYTES: u64 = 16 << 20;
const CACHE_BYTES: u64 = 64 << 20;
/// Rows between two points at which a scan lets other tasks run.
const SCAN_STEP: usize = 1_024;

/// A feature store in a folder of this machine. Reads of one person's rows run where they may wait for the disk, so that nobody
/// else waits with them; all writes go through one thread, which commits those that wait together.
pub struct EmbeddedStore {
    tables: Arc<Tables>,
    writer: Writer,
}

/// One keyspace per kind of row.
#[derive(Clone)]
struct Tables {
    db: Database,
    /// By person and `seq`.
    activity: Keyspace,
    /// Event ids; no values. Absent ones, the usual case, are told by a Bloom filter.
    ids: Keyspace,
    /// Hashes of the ids of erased events; no values.
    erased_ids: Keyspace,
    users: Keyspace,
    videos: Keyspace,
    /// By person: number of the latest event in it (u64, big-endian), encoded snapshot.
    snapshots: Keyspace,
    tallies: Keyspace,
    impressions: Keyspace,
    /// By person and creator.
    creators: Keyspace,
    meta: Keyspace,
}

impl EmbeddedStore {
    /// Opens the store in `dir`, which is made when it is not there. One process at a time can have it open.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |error| match error {
            fjall::Error::Locked => StoreError::Away(format!(
                "another foryou process holds {}; stop it first, or set data.dir to another folder",
                dir.display()
            )),
            error => StoreError::Away(format!("{} does not open: {error}", dir.display())),
        };
        let db = Database::builder(dir)
            .max_journaling_size(JOURNAL_BYTES)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let tables = Tables::open(db).map_err(failed)?;
        tables.check_format(dir)?;
        let order = tables.number(ORDER)?.unwrap_or(0);
        let writer = Writer::start(tables.clone(), order)?;
        Ok(Self { tables: Arc::new(tables), writer })
    }

    /// Runs a read that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tables) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tables = self.tables.clone();
        let done = tokio::task::spawn_blocking(move || read(&tables)).await;
        done.map_err(|e| StoreError::Away(format!("a read did not end: {e}")))?
    }
}

impl Tables {
    fn open(db: Database) -> Result<Self, fjall::Error> {
        let table = |name| db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES));
        Ok(Self {
            activity: table("activity")?,
            ids: table("event_ids")?,
            erased_ids: table("erased_event_ids")?,
            users: table("users")?,
            videos: table("videos")?,
            snapshots: table("snapshots")?,
            tallies: table("tallies")?,
            impressions: table("impressions")?,
            creators: table("creators")?,
            meta: table("meta")?,
            db,
        })
    }

    fn check_format(&self, dir: &Path) -> Result<(), StoreError> {
        match self.number("format")? {
            None => self.meta.insert("format", FORMAT.to_be_bytes()).map_err(away),
            Some(FORMAT) => Ok(()),
            Some(other) => Err(StoreError::Corrupt(format!(
                "{} has format {other}, and this foryou reads format {FORMAT}; start the foryou that wrote it",
                dir.display()
            ))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = self.meta.get(name).map_err(away)? else { return Ok(None) };
        let bytes = bytes.as_ref().try_into().map_err(|_| StoreError::Corrupt(format!("{name} is no number")))?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        let now = self.db.snapshot();
        let profile = now.get(&self.users, user.as_str()).map_err(away)?;
        let stored = now.get(&self.snapshots, user.as_str()).map_err(away)?;
        let (after, snapshot) = match stored.as_deref().map(|row| row.split_first_chunk()) {
            None => (0, None),
            Some(Some((seq, snapshot))) => (u64::from_be_bytes(*seq), Some(snapshot.to_vec())),
            Some(None) => return Err(StoreError::Corrupt(format!("the snapshot of {user:?} is cut off"))),
        };
        let range = keys::activity(user, after.saturating_add(1))..=keys::activity(user, u64::MAX);
        let tail = now.range(&self.activity, range).map(activity).collect::<Result<_, _>>()?;
        let creators = now.prefix(&self.creators, keys::person(user)).map(creator).collect::<Result<_, _>>()?;
        let profile = profile.map(|row| rows::read_user(&row)).transpose()?;
        Ok(StoredSession { snapshot, profile, tail, creators })
    }

    fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        match self.users.get(user.as_str()).map_err(away)? {
            Some(row) => rows::read_user(&row).map(Some),
            None => Ok(self.acted(user).then(User::default)),
        }
    }

    /// Whether anything was ever told of a person.
    fn knows(&self, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.users.contains_key(user.as_str()).map_err(away)? || self.acted(user))
    }

    /// Whether the event was written before, erased or not.
    fn knows_event(&self, id: &EventId) -> Result<bool, StoreError> {
        let erased = || self.erased_ids.contains_key(rows::hashed_id(id));
        self.ids.contains_key(id.as_str()).and_then(|known| if known { Ok(true) } else { erased() }).map_err(away)
    }

    fn acted(&self, user: &UserId) -> bool {
        self.activity.prefix(keys::person(user)).next().is_some()
    }
}

#[async_trait]
impl FeatureStore for EmbeddedStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() && batch.order.is_none() {
            return Ok(());
        }
        self.writer.ask(|reply| Command::Write(batch, reply)).await
    }

    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        ids.iter().map(|id| self.tables.knows_event(id)).collect()
    }

    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        let user = user.clone();
        self.read(move |tables| tables.session(&user)).await
    }

    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        let newest = keys::person(user);
        self.read(move |tables| tables.activity.prefix(newest).rev().take(limit).map(activity).collect()).await
    }

    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError> {
        let (person, before) = (keys::person(user), before.cloned());
        let list = move |tables: &Tables| {
            let mut newest = Newest::new(before.as_ref(), limit);
            for row in tables.creators.prefix(person) {
                let (creator, standing) = creator(row)?;
                newest.add(creator, standing);
            }
            Ok(newest.list())
        };
        self.read(list).await
    }

    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        let users = users.to_vec();
        self.writer.ask(|reply| Command::PutUsers(users, reply)).await
    }

    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        let user = user.clone();
        self.read(move |tables| tables.user(&user)).await
    }

    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        let user = user.clone();
        self.writer.ask(|reply| Command::Erase(user, reply)).await
    }

    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        let row = |(id, video): &(VideoId, Video)| Ok((id.clone(), rows::write_video(video)?));
        let videos = videos.iter().map(row).collect::<Result<_, StoreError>>()?;
        self.writer.ask(|reply| Command::PutVideos(videos, reply)).await
    }

    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        scan(self.tables.videos.iter(), |key, row| visit((keys::read_id(&key, VideoId::new)?, rows::read_video(&row)?)))
            .await
    }

    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        scan(self.tables.users.iter(), |key, row| visit((keys::read_id(&key, UserId::new)?, rows::read_user(&row)?)))
            .await
    }

    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        let read = |key: Slice, row: Slice| {
            let (user, seq) = keys::read_activity(&key)?;
            visit(rows::read_activity(user, seq, &row)?)
        };
        scan(self.tables.activity.iter(), read).await
    }

    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        let now = self.tables.db.snapshot();
        let order = now.get(&self.tables.meta, ORDER).map_err(away)?;
        let read = |key: Slice, row: Slice| visit((rows::read_tally_key(&key)?, row.to_vec()));
        scan(now.iter(&self.tables.tallies), read).await?;
        Ok(order.and_then(|order| order.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        let read = |key: Slice, record: Slice| {
            let (user, at, feed) = keys::read_impression(&key)?;
            visit(Impression { user, at, feed, record: record.to_vec() })
        };
        scan(self.tables.impressions.iter(), read).await
    }
}

fn activity(row: Guard) -> Result<Activity, StoreError> {
    let (key, row) = row.into_inner().map_err(away)?;
    let (user, seq) = keys::read_activity(&key)?;
    rows::read_activity(user, seq, &row)
}

fn creator(row: Guard) -> Result<(CreatorId, Standing), StoreError> {
    let (key, row) = row.into_inner().map_err(away)?;
    Ok((keys::read_creator(&key)?, rows::read_standing(&row)?))
}

async fn scan(
    rows: Iter,
    mut read: impl FnMut(Slice, Slice) -> Result<(), StoreError> + Send,
) -> Result<(), StoreError> {
    for (n, row) in rows.enumerate() {
        let (key, row) = row.into_inner().map_err(away)?;
        read(key, row)?;
        if n % SCAN_STEP == SCAN_STEP - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn away(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Poisoned => {
            StoreError::Away("the disk failed an earlier write; see to the disk, then restart foryou".into())
        }
        error => StoreError::Away(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
