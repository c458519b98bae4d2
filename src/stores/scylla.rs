//! The feature store of several nodes: ScyllaDB, or another server that speaks CQL.

mod access;
mod batches;
mod behind;
mod clock;
mod cluster;
mod columns;
mod connect;
mod creators;
mod entry;
mod erase;
mod errors;
mod fan_out;
mod ids;
mod journal;
mod link;
mod migrations;
mod noted;
mod people;
mod quarantine;
mod releases;
mod scans;
mod statements;
mod tls;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use foryou_actors::{
    ports::store::{
        Activity, Batch, FeatureStore, Impression, StoreError, StoredSession, Visit,
        creators::{Before, Related},
    },
    statistics::TallyKey,
};
use foryou_schemas::{EventId, User, UserId, Video, VideoId};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    sync::{OnceCell, mpsc, oneshot},
    task::JoinHandle,
};

pub use self::{
    access::ScyllaAudit,
    migrations::{Migrated, migrate},
    quarantine::Aside,
    releases::ReleaseRow,
};
use self::{
    batches::{CONCURRENCY, Job, run},
    clock::Clock,
    fan_out::Kept,
    ids::WrittenIds,
    journal::Journals,
    link::Link,
    noted::Noted,
    writer::{Command, QUEUE, Writer},
};
use super::rows;
use crate::config::Scylla;

/// Event ids that were asked for and not found, so that a write need not ask again.
const UNKNOWN: usize = 65_536;
const DAY_S: u32 = 86_400;

/// A feature store that several nodes share. Each of them writes as an *owner* of its own; see `journal` for how a batch is
/// written as a whole, and once.
pub struct ScyllaStore {
    shared: Arc<Shared>,
    writer: Option<mpsc::Sender<Command>>,
    tasks: Vec<JoinHandle<()>>,
    /// Set by the first sign of life in the list of nodes.
    begun: OnceCell<()>,
}

/// What the store and its writer share.
struct Shared {
    owner: Box<str>,
    link: Link,
    clock: Clock,
    kept: Kept,
    noted: Mutex<Noted>,
    ids: WrittenIds,
    unknown: Mutex<HashSet<[u8; 16]>>,
    #[cfg(test)]
    fault: Mutex<Option<Fault>>,
}

/// In tests: after which step the next write breaks off.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Put,
    Committed,
}

impl ScyllaStore {
    /// Connects, and checks that the tables are there. What is written belongs to `owner`: a name that no other process has at
    /// a time. Nobody is shut out before something is written, or [`ScyllaStore::begin`] is called.
    pub async fn connect(config: &Scylla, owner: &str) -> Result<Self, StoreError> {
        let session = migrations::checked(config).await?;
        let days = |days: u32| i32::try_from(days.saturating_mul(DAY_S)).unwrap_or(i32::MAX);
        let shared = Arc::new(Shared {
            owner: owner.into(),
            link: Link::new(config, session).await?,
            clock: Clock::default(),
            kept: Kept {
                activity_s: days(config.activity_days.get()),
                ids_s: days(config.event_ids_days.get()),
                rejected_s: days(config.quarantine_days.get()),
            },
            noted: Mutex::default(),
            ids: WrittenIds::default(),
            unknown: Mutex::default(),
            #[cfg(test)]
            fault: Mutex::default(),
        });
        shared.ids.begin(&shared.link).await?;
        let (writer, waiting) = mpsc::channel(QUEUE);
        let (watched, writing) = (shared.clone(), Writer::new(shared.clone()));
        let tasks = vec![
            tokio::spawn(async move { watched.link.watch().await }),
            tokio::spawn(async move { writing.run(waiting).await }),
        ];
        Ok(Self { shared, writer: Some(writer), tasks, begun: OnceCell::new() })
    }

    /// Becomes the writer of the owner now: shuts out an earlier process of the same name, and completes what it was writing. To
    /// be called before anything is read that the earlier process may have been writing.
    pub async fn begin(&self) -> Result<(), StoreError> {
        self.ask(Command::Begin).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Away("its writer has stopped; restart foryou".into());
        let (reply, answer) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or_else(stopped)?;
        writer.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for ScyllaStore {
    fn drop(&mut self) {
        // A batch that is being written is not acknowledged; whoever writes next as this owner completes it.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn journals(&self) -> Journals<'_> {
        Journals { link: &self.link, clock: &self.clock, kept: self.kept }
    }

    /// Writes profiles; `new` where there was neither profile nor event.
    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        let to = &*self.link.get()?;
        let at = self.clock.next();
        let asked: Vec<_> = users.iter().map(|(id, _)| people::presence(to, id).boxed()).collect();
        let there = stream::iter(asked).buffered(CONCURRENCY).try_collect::<Vec<_>>();
        let there = there.await.map_err(|error| self.link.failed(error))?;
        let mut latest = HashMap::new();
        let new = users.iter().zip(&there).map(|((id, user), there)| {
            let again = latest.insert(id, user).is_some();
            !again && !there.told && there.days.is_empty()
        });
        let new = new.collect();
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for (id, user) in latest {
            let values = columns::profile(id.as_str(), user, at)?;
            jobs.push(Box::pin(async move {
                Ok(to.session.execute_unpaged(&to.on.put_profile, values).await.map(|_| ())?)
            }));
        }
        run(jobs).await.map_err(|error| self.link.failed(error))?;
        Ok(new)
    }

    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        let to = &*self.link.get()?;
        let at = self.clock.next();
        let latest: HashMap<_, _> = videos.iter().map(|(id, video)| (id, video)).collect();
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for (id, video) in latest {
            let values = columns::video(id, video, at)?;
            jobs.push(Box::pin(
                async move { Ok(to.session.execute_unpaged(&to.on.put_video, values).await.map(|_| ())?) },
            ));
        }
        run(jobs).await.map_err(|error| self.link.failed(error))
    }

    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        let hashed: Vec<_> = ids.iter().map(rows::hashed_id).collect();
        let known = self.ids.known(&self.link, &hashed).await?;
        let mut unknown = self.unknown.lock();
        if unknown.len() + ids.len() > UNKNOWN {
            unknown.clear();
        }
        unknown.extend(hashed.iter().filter(|id| !known.contains(*id)));
        Ok(hashed.iter().map(|id| known.contains(id)).collect())
    }

    #[cfg(test)]
    fn fault(&self, step: Fault) -> Result<(), StoreError> {
        match self.fault.lock().take_if(|fault| *fault == step) {
            Some(_) => Err(StoreError::Away("broken off by the test".into())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl FeatureStore for ScyllaStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() && batch.order.is_none() {
            return Ok(());
        }
        self.ask(|reply| Command::Write(batch, reply)).await
    }

    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> {
        self.shared.known_events(ids).await
    }

    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        self.shared.session(user).await
    }

    async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        self.shared.history(user, limit).await
    }

    async fn creators(&self, user: &UserId, before: Option<&Before>, limit: usize) -> Result<Vec<Related>, StoreError> {
        self.shared.newest_creators(user, before, limit).await
    }

    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> {
        self.shared.put_users(users).await
    }

    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        self.shared.user(user).await
    }

    async fn erase_user(&self, user: &UserId) -> Result<bool, StoreError> {
        let user = user.clone();
        self.ask(|reply| Command::Erase(user, reply)).await
    }

    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> {
        self.shared.put_videos(videos).await
    }

    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        self.shared.scan_videos(visit).await
    }

    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        self.shared.scan_users(visit).await
    }

    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        self.shared.scan_activity(visit).await
    }

    async fn scan_tallies(&self, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        self.shared.scan_tallies_of(&self.shared.owner, visit).await
    }

    async fn scan_foreign_tallies(&self, visit: Visit<'_, (Box<str>, TallyKey, Vec<u8>)>) -> Result<(), StoreError> {
        for owner in self.shared.owners().await? {
            if owner != self.shared.owner {
                let mut named = |(key, tally)| visit((owner.clone(), key, tally));
                self.shared.scan_tallies_of(&owner, &mut named).await?;
            }
        }
        Ok(())
    }

    async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        self.shared.scan_impressions(visit).await
    }

    fn trouble(&self) -> Option<String> {
        self.shared.link.trouble()
    }
}

#[cfg(test)]
pub(crate) mod tests;
