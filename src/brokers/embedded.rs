//! The event bus of a single node: an append-only log in a folder, with one `fdatasync` for all events that wait for it.
//!
//! It has files of its own rather than keyspaces of the feature store. Measured, both take as many events per second, but here
//! no publisher waits for the store's commits and flushes, what is done is a deleted file instead of tombstones to step over,
//! and an event costs half the CPU time.

mod quarantine;
mod queue;
mod record;
mod segments;
mod subscription;
mod writer;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use foryou_actors::ports::{
    bus::{BusError, EventBus, PARTITIONS, Partitions, Subscription, partition_of},
    quarantine as port,
};
use foryou_schemas::{Event, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use quarantine::Quarantine;
pub use quarantine::Quarantined;
use queue::{Entry, Queue};
use segments::Segments;
use writer::{Job, Mailbox};

/// The bounds of an [`EmbeddedBus`].
#[derive(Debug, Clone)]
pub struct BusSettings {
    /// How many partitions the users are spread over.
    pub partitions: u16,
    /// The most events that may be published and not settled; a larger batch than this is never taken.
    pub max_unacked: usize,
    /// The most bytes of JSON that they may have together; they are held in memory.
    pub max_unacked_bytes: usize,
    /// Bytes after which the log goes on in a new file.
    pub segment_bytes: u64,
    /// What a publisher is told to wait when the bus is full.
    pub retry_after: Duration,
    /// Events that are kept aside at most; the oldest make room.
    pub max_quarantined: usize,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            partitions: PARTITIONS,
            max_unacked: 100_000,
            max_unacked_bytes: 128 << 20,
            segment_bytes: 16 << 20,
            retry_after: Duration::from_millis(100),
            max_quarantined: 100_000,
        }
    }
}

/// An event bus in a folder of this machine, for the process that has it open.
///
/// Of the subscriptions that hold a partition, the first one gets everything; the next takes over when it lets go. An event that was there
/// at a start, not settled, counts as delivered once before, since that cannot be told.
pub struct EmbeddedBus {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    settings: BusSettings,
    /// Never held while waiting for the disk.
    queue: Mutex<Queue>,
    /// Held for writes to the page cache at most.
    segments: Mutex<Segments>,
    quarantine: Mutex<Quarantine>,
    quarantined: AtomicU64,
    dropped: AtomicU64,
    mailbox: Mailbox,
    /// There may be something to deliver.
    arrived: Notify,
    /// Something was settled, or the bus was closed.
    settled: Notify,
    /// Locks the folder as long as anybody can write to it.
    _lock: File,
}

impl EmbeddedBus {
    /// Opens the bus in `dir`, which is made when it is not there. One process at a time can have it open.
    pub fn open(dir: &Path, settings: BusSettings) -> Result<Self, BusError> {
        let failed = |error: io::Error| BusError::Away(format!("{} does not open: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = lock(dir)?;
        let starts = Starts::read(dir).map_err(failed)?;
        let mut queue = Queue::default();
        let (segments, log) = segments::open(dir, settings.segment_bytes, |event| {
            let redelivered = starts.since(event.tag) + 1;
            queue.push(event.tag, Entry::new(event.partition, redelivered, event.payload.into()));
        })
        .map_err(failed)?;
        starts.write(dir, log.next_tag(), queue.first()).map_err(failed)?;
        let quarantine = Quarantine::open(&dir.join("quarantine"), settings.max_quarantined).map_err(failed)?;
        let shared = Arc::new(Shared {
            settings,
            queue: Mutex::new(queue),
            segments: Mutex::new(segments),
            quarantined: AtomicU64::new(quarantine.len() as u64),
            dropped: AtomicU64::new(0),
            quarantine: Mutex::new(quarantine),
            mailbox: Mailbox::default(),
            arrived: Notify::new(),
            settled: Notify::new(),
            _lock: lock,
        });
        let writer = std::thread::Builder::new()
            .name("bus-writer".into())
            .spawn({
                let shared = shared.clone();
                move || writer::run(&shared, log)
            })
            .map_err(failed)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Ends every subscription and refuses what is published from now on. What was published stays.
    pub fn close(&self) {
        self.shared.queue.lock().close();
        self.shared.mailbox.stop();
        self.shared.arrived.notify_waiters();
        self.shared.settled.notify_waiters();
    }

    /// How many events were kept aside.
    pub fn quarantine_count(&self) -> u64 {
        self.shared.quarantined.load(Ordering::Relaxed)
    }

    /// Up to `limit` of the events kept aside, in order, from the one after tag `after` on.
    pub async fn quarantined(&self, after: Option<u64>, limit: usize) -> Result<Vec<Quarantined>, BusError> {
        self.on_quarantine(move |quarantine| quarantine.list(after.unwrap_or(0), limit)).await
    }
}

/// Rejected events that are read at a time.
const PAGE: usize = 256;

impl From<Quarantined> for port::Rejected {
    fn from(event: Quarantined) -> Self {
        let Quarantined { tag: id, partition, redelivered, reason, payload, at_ms } = event;
        Self { id, at: at_ms.and_then(Timestamp::from_millis), partition, redelivered, reason, payload }
    }
}

#[async_trait]
impl port::Quarantine for EmbeddedBus {
    async fn count(&self) -> Result<u64, BusError> {
        Ok(self.quarantine_count())
    }

    async fn latest(
        &self,
        before: Option<u64>,
        reason: Option<&str>,
        limit: usize,
    ) -> Result<Vec<port::Rejected>, BusError> {
        let reason = reason.map(str::to_owned);
        self.on_quarantine(move |quarantine| {
            let (mut found, mut before) = (Vec::new(), before.unwrap_or(u64::MAX));
            while found.len() < limit {
                let some = quarantine.latest(before, PAGE)?;
                let Some(last) = some.last() else { break };
                before = last.tag;
                let fits = |event: &port::Rejected| reason.as_ref().is_none_or(|reason| event.is_about(reason));
                found.extend(some.into_iter().map(port::Rejected::from).filter(fits));
            }
            found.truncate(limit);
            Ok(found)
        })
        .await
    }

    async fn get(&self, id: u64) -> Result<Option<port::Rejected>, BusError> {
        Ok(self.on_quarantine(move |quarantine| quarantine.get(id)).await?.map(Into::into))
    }

    async fn replay(&self, id: u64) -> Result<bool, BusError> {
        let found = self.on_quarantine(move |quarantine| quarantine.get(id)).await?;
        let Some(event) = found else { return Ok(false) };
        self.append(vec![(event.partition, event.payload.into())]).await?;
        // Were this cut off, the event would be here and published: its id keeps it from being applied twice.
        port::Quarantine::discard(self, id).await
    }

    async fn discard(&self, id: u64) -> Result<bool, BusError> {
        let shared = self.shared.clone();
        self.on_quarantine(move |quarantine| {
            let there = quarantine.forget(id)?;
            shared.quarantined.store(quarantine.len() as u64, Ordering::Relaxed);
            Ok(there)
        })
        .await
    }

    async fn forget(&self, user: &UserId) -> Result<(), BusError> {
        let (shared, user) = (self.shared.clone(), user.clone());
        self.on_quarantine(move |quarantine| {
            let mut before = u64::MAX;
            loop {
                let some = quarantine.latest(before, PAGE)?;
                let Some(last) = some.last() else { break };
                before = last.tag;
                for event in some.into_iter().map(port::Rejected::from) {
                    if event.user().as_ref() == Some(&user) {
                        quarantine.forget(event.id)?;
                    }
                }
            }
            // What was forgotten is still in the file; a person's is not to be.
            quarantine.clean()?;
            shared.quarantined.store(quarantine.len() as u64, Ordering::Relaxed);
            Ok(())
        })
        .await
    }

    fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl EmbeddedBus {
    /// Works on the quarantine's files, away from the async threads.
    async fn on_quarantine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Quarantine) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BusError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut shared.quarantine.lock())).await;
        let done = done.map_err(|e| BusError::Away(e.to_string()))?;
        done.map_err(|e| BusError::Away(format!("the quarantine cannot be read or written: {e}")))
    }

    /// Appends encoded events with their partitions; they are durable when this returns.
    async fn append(&self, encoded: Vec<(u16, Arc<[u8]>)>) -> Result<(), BusError> {
        let settings = &self.shared.settings;
        let (count, bytes) = (encoded.len(), encoded.iter().map(|(_, payload)| payload.len()).sum());
        let max = (settings.max_unacked, settings.max_unacked_bytes);
        if !self.shared.queue.lock().reserve(count, bytes, max) {
            return Err(BusError::Full { retry_after: settings.retry_after });
        }
        let (reply, answer) = oneshot::channel();
        if !self.shared.mailbox.send(Job::Publish(encoded, reply)) {
            self.shared.queue.lock().unreserve(count, bytes);
            return Err(closed());
        }
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for EmbeddedBus {
    fn drop(&mut self) {
        self.close();
        // A thread that panicked has nothing more to write.
        self.writer.take().map(JoinHandle::join);
    }
}

#[async_trait]
impl EventBus for EmbeddedBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        if events.is_empty() {
            return Ok(());
        }
        let settings = &self.shared.settings;
        let encode = |event: &Event| match serde_json::to_vec(event) {
            Ok(payload) => Ok((partition_of(&event.user, settings.partitions), Arc::from(payload))),
            Err(e) => Err(BusError::Away(format!("event {:?} does not encode: {e}", event.id))),
        };
        let encoded = events.iter().map(encode).collect::<Result<Vec<(u16, Arc<[u8]>)>, _>>()?;
        self.append(encoded).await
    }

    fn partitions(&self) -> u16 {
        self.shared.settings.partitions
    }

    async fn subscribe(&self, partitions: &Partitions, credit: usize) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(subscription::EmbeddedSubscription::new(self.shared.clone(), partitions, credit)))
    }

    async fn depth(&self) -> Result<u64, BusError> {
        Ok(self.shared.queue.lock().len() as u64)
    }

    async fn settled(&self, user: &UserId) -> Result<(), BusError> {
        let partition = partition_of(user, self.shared.settings.partitions);
        let mut before = self.shared.queue.lock().unsettled(partition);
        loop {
            let mut settled = std::pin::pin!(self.shared.settled.notified());
            settled.as_mut().enable();
            {
                let queue = self.shared.queue.lock();
                before.retain(|tag| queue.get(*tag).is_some());
                if before.is_empty() {
                    return Ok(());
                }
                if queue.is_closed() {
                    return Err(closed());
                }
            }
            settled.await;
        }
    }
}

impl Shared {
    /// Settles deliveries; those that are settled already are left out.
    fn settle(&self, tags: impl IntoIterator<Item = u64>) -> io::Result<()> {
        let mut queue = self.queue.lock();
        let mut settled: Vec<u64> = tags.into_iter().filter(|tag| queue.settle(*tag)).collect();
        drop(queue);
        settled.sort_unstable();
        let written = self.segments.lock().settle(&settled);
        self.settled.notify_waiters();
        // A partition that was released may have changed hands.
        self.arrived.notify_waiters();
        written
    }

    /// Puts an event into quarantine, then settles it.
    fn keep_aside(&self, tag: u64, reason: String) -> io::Result<()> {
        let event = self.queue.lock().get(tag).map(|entry| Quarantined {
            tag,
            partition: entry.partition,
            redelivered: entry.redelivered,
            reason,
            payload: entry.payload.to_vec(),
            at_ms: Some(Timestamp::now().millis()),
        });
        let Some(event) = event else { return Ok(()) };
        let mut quarantine = self.quarantine.lock();
        quarantine.add(&event)?;
        self.dropped.store(quarantine.dropped(), Ordering::Relaxed);
        self.quarantined.store(quarantine.len() as u64, Ordering::Relaxed);
        drop(quarantine);
        self.settle([tag])
    }
}

fn closed() -> BusError {
    BusError::Away("it is closed".into())
}

fn lock(dir: &Path) -> Result<File, BusError> {
    let failed = |error: io::Error| BusError::Away(format!("{} cannot be locked: {error}", dir.display()));
    let file = File::create(dir.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BusError::Away(format!(
            "another foryou process holds {}; stop it first, or set data.dir to another folder",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The next tag at each start so far, for telling how often an event may have been delivered before: a poisonous event that
/// ends the process is thereby known for what it is after some starts.
struct Starts(Vec<u64>);

impl Starts {
    /// Starts that are remembered.
    const MAX: usize = 64;

    fn read(dir: &Path) -> io::Result<Self> {
        let bytes = match fs::read(dir.join("starts")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (starts, _) = bytes.as_chunks();
        Ok(Self(starts.iter().map(|tag| u64::from_le_bytes(*tag)).collect()))
    }

    /// How many starts found the event in the log.
    fn since(&self, tag: u64) -> u32 {
        self.0.iter().filter(|next| **next > tag).count() as u32
    }

    /// Adds a start at which the next tag was `next`, and forgets those before the `oldest` event.
    fn write(mut self, dir: &Path, next: u64, oldest: Option<u64>) -> io::Result<()> {
        self.0.push(next);
        self.0.retain(|start| oldest.is_some_and(|oldest| *start > oldest));
        let latest = &self.0[self.0.len().saturating_sub(Self::MAX)..];
        let bytes: Vec<u8> = latest.iter().flat_map(|tag| tag.to_le_bytes()).collect();
        fs::write(dir.join("starts.new"), bytes)?;
        fs::rename(dir.join("starts.new"), dir.join("starts"))
    }
}

#[cfg(test)]
mod tests;
