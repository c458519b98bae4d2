//! The feature writer: collects what changed into batches and makes them durable, in order.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::Instant,
};

use super::{
    queue::Closed,
    status::QueueStatus,
    supervisor::{Context, Service, ServiceError, ServiceSpec},
    tickets::Tickets,
};
use crate::{
    backoff::Backoff,
    complaint::{Complaint, Trouble},
    ports::store::{Batch, FeatureStore, Impression, StoreError},
};

/// How often a writer that waits looks whether the store is back.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After a batch the writer rests as long as that took, but no longer than this: a store that takes its time for each does better
/// with fewer and larger ones.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// How the writer works.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// The most events, snapshots and changes of creators of one write, but for a single larger change; the tallies that they change come on top.
    pub max_batch: usize,
    /// How long a row may wait for others, while the writer is idle.
    pub linger: Duration,
    /// The most rows that may wait; who hands over more has to wait.
    pub queue: usize,
    /// The most impressions that may wait; more are dropped and counted.
    pub impressions: usize,
    /// The pause after a first failed write; it doubles up to `max_backoff`.
    pub first_backoff: Duration,
    /// The longest pause between attempts.
    pub max_backoff: Duration,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self {
            max_batch: 512,
            linger: Duration::from_millis(10),
            queue: 16_384,
            impressions: 8_192,
            first_backoff: Duration::from_millis(20),
            max_backoff: Duration::from_secs(2),
        }
    }
}

/// A promise that a change will be durable.
#[must_use]
pub struct Receipt(oneshot::Receiver<()>);

impl Receipt {
    /// Waits until it is. Fails when the writer was stopped before.
    pub async fn durable(self) -> Result<(), Closed> {
        self.0.await.map_err(|_| Closed)
    }
}

/// Why a change was not taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too much waits already.
    #[error("the feature writer's queue is full")]
    Full,
    /// The writer is stopped.
    #[error("the feature writer is stopped")]
    Closed,
}

/// The handle of the feature writer. What it took waits here, not in the actor, so a restart loses nothing.
#[derive(Clone)]
pub struct FeatureWriter(Arc<Shared>);

struct Shared {
    settings: WriterSettings,
    store: Arc<dyn FeatureStore>,
    tickets: Tickets,
    room: Arc<Semaphore>,
    jobs: Mutex<VecDeque<Job>>,
    impressions: Mutex<VecDeque<(Instant, Impression)>>,
    dropped_impressions: AtomicU64,
    /// Something arrived.
    arrived: Notify,
    /// Another node took over: nothing is taken until [`FeatureWriter::resume`]. Changed under the lock of `jobs`.
    fenced: watch::Sender<bool>,
    complaint: Complaint,
    trouble: Trouble,
}

struct Job {
    batch: Batch,
    ticket: Option<u64>,
    done: oneshot::Sender<()>,
    at: Instant,
    /// Somebody waits for it, so it does not linger.
    urgent: bool,
    room: OwnedSemaphorePermit,
}

impl FeatureWriter {
    /// The handle, and the service to be supervised.
    pub fn new(settings: WriterSettings, store: Arc<dyn FeatureStore>) -> (Self, ServiceSpec) {
        let handle = Self(Arc::new(Shared {
            settings,
            store,
            tickets: Tickets::default(),
            room: Arc::new(Semaphore::new(settings.queue.max(1))),
            jobs: Mutex::default(),
            impressions: Mutex::default(),
            dropped_impressions: AtomicU64::new(0),
            arrived: Notify::new(),
            fenced: watch::Sender::new(false),
            complaint: Complaint::default(),
            trouble: Trouble::default(),
        }));
        let (jobs, impressions, writer) = (handle.clone(), handle.clone(), handle.clone());
        let spec =
            ServiceSpec::new("feature_writer", move || Writer { shared: writer.0.clone(), rested: Instant::now() })
                .queue("changes", Arc::new(move || jobs.queue()))
                .queue("impressions", Arc::new(move || impressions.impression_queue()));
        (handle, spec)
    }

    /// Which changes are applied but not durable yet.
    pub fn tickets(&self) -> &Tickets {
        &self.0.tickets
    }

    /// Why nothing has become durable for some seconds, where that is so.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble.lasting()
    }

    /// Whether another node took over what this one owned ([`StoreError::Fenced`]). What was handed over since its last write is
    /// lost, and so is what is handed over now; their receipts fail.
    pub fn fenced(&self) -> watch::Receiver<bool> {
        self.0.fenced.subscribe()
    }

    /// Takes changes again: nothing in memory is from before the other node took over.
    pub fn resume(&self) {
        let _nobody_hands_over = self.0.jobs.lock();
        self.0.fenced.send_replace(false);
    }

    /// Hands a change over; waits while the queue is full. Changes become durable in the order in which they were taken.
    /// `ticket` is completed together with it.
    pub async fn submit(&self, batch: Batch, ticket: Option<u64>) -> Result<Receipt, Closed> {
        let room = self.0.room.clone().acquire_many_owned(self.weight(&batch)).await.map_err(|_| Closed)?;
        Ok(self.enqueue(batch, ticket, false, room))
    }

    /// [`FeatureWriter::submit`] for a change that can also be made later.
    pub fn try_submit(&self, batch: Batch) -> Result<Receipt, NotTaken> {
        let room = self.0.room.clone().try_acquire_many_owned(self.weight(&batch)).map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => NotTaken::Closed,
            tokio::sync::TryAcquireError::NoPermits => NotTaken::Full,
        })?;
        Ok(self.enqueue(batch, None, false, room))
    }

    /// Waits until everything that was taken before is durable.
    pub async fn flush(&self) -> Result<(), Closed> {
        let room = self.0.room.clone().acquire_owned().await.map_err(|_| Closed)?;
        self.enqueue(Batch::default(), None, true, room).durable().await
    }

    /// Logs a served feed. Returns whether it was taken: a full queue drops it and counts.
    pub fn log_impression(&self, impression: Impression) -> bool {
        let mut waiting = self.0.impressions.lock();
        if waiting.len() >= self.0.settings.impressions || self.0.room.is_closed() {
            self.0.dropped_impressions.fetch_add(1, Relaxed);
            return false;
        }
        waiting.push_back((Instant::now(), impression));
        drop(waiting);
        self.0.arrived.notify_one();
        true
    }

    fn weight(&self, batch: &Batch) -> u32 {
        let weight = rows(batch).clamp(1, self.0.settings.queue.max(1));
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    fn enqueue(&self, batch: Batch, ticket: Option<u64>, urgent: bool, room: OwnedSemaphorePermit) -> Receipt {
        let (done, receipt) = oneshot::channel();
        let job = Job { batch, ticket, done, at: Instant::now(), urgent, room };
        let mut jobs = self.0.jobs.lock();
        if !*self.0.fenced.borrow() {
            jobs.push_back(job);
            self.0.arrived.notify_one();
        }
        drop(jobs);
        Receipt(receipt)
    }

    fn queue(&self) -> QueueStatus {
        let capacity = self.0.settings.queue;
        QueueStatus { depth: capacity.saturating_sub(self.0.room.available_permits()), capacity, dropped: 0 }
    }

    fn impression_queue(&self) -> QueueStatus {
        QueueStatus {
            depth: self.0.impressions.lock().len(),
            capacity: self.0.settings.impressions,
            dropped: self.0.dropped_impressions.load(Relaxed),
        }
    }
}

fn rows(batch: &Batch) -> usize {
    batch.activity.len() + batch.snapshots.len() + batch.creators.len()
}

struct Writer {
    shared: Arc<Shared>,
    /// From when on it writes again, unless a batch is full or somebody waits.
    rested: Instant,
}

#[async_trait]
impl Service for Writer {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while self.gather(&context).await {
            let (batch, jobs) = self.peek();
            let impressions = batch.impressions.len();
            let started = Instant::now();
            let written = (batch.activity.len() + batch.snapshots.len() + impressions) as u64;
            let is_written = batch.is_empty() || self.write(batch, &context).await;
            let took = started.elapsed();
            self.rested = Instant::now() + took.min(LONGEST_REST);
            if !is_written {
                // It is the other node's now, and comes to it from the bus. Impressions stay, they are nobody's.
                let mut jobs = self.shared.jobs.lock();
                jobs.clear();
                self.shared.fenced.send_replace(true);
                continue;
            }
            // Only now do the changes leave the queue: had the write panicked, the next incarnation would find them here.
            self.shared.impressions.lock().drain(..impressions);
            let done: Vec<Job> = self.shared.jobs.lock().drain(..jobs).collect();
            for job in done {
                if let Some(ticket) = job.ticket {
                    self.shared.tickets.complete(ticket);
                }
                drop(job.room);
                let _not_awaited = job.done.send(());
            }
            context.probe.handled(written, took);
        }
        self.shared.room.close();
        Ok(())
    }
}

impl Writer {
    /// Waits until a batch is due. `false`: asked to stop, and nothing is left.
    async fn gather(&self, context: &Context) -> bool {
        loop {
            let due = self.due();
            if due.is_some_and(|at| at <= Instant::now()) || (due.is_some() && context.stop.is_requested()) {
                return true;
            }
            if due.is_none() && context.stop.is_requested() {
                return false;
            }
            tokio::select! {
                () = self.shared.arrived.notified() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = context.stop.requested() => {}
            }
        }
    }

    /// When the next batch is to be written, if anything waits.
    fn due(&self) -> Option<Instant> {
        let jobs = self.shared.jobs.lock();
        let (now, linger, max) = (Instant::now(), self.shared.settings.linger, self.shared.settings.max_batch);
        let (waiting, oldest) = {
            let impressions = self.shared.impressions.lock();
            (impressions.len(), impressions.front().map(|(at, _)| *at + linger))
        };
        let full = waiting >= max || jobs.iter().map(|job| rows(&job.batch)).sum::<usize>() >= max;
        if full || jobs.iter().any(|job| job.urgent) {
            return Some(now);
        }
        let due = jobs.front().map(|job| job.at + linger).into_iter().chain(oldest).min();
        due.map(|due| due.max(self.rested))
    }

    /// The next batch, and how many jobs it holds; they stay queued.
    fn peek(&self) -> (Batch, usize) {
        let max = self.shared.settings.max_batch;
        let mut batch = Batch::default();
        let mut tallies = HashMap::new();
        let mut snapshots = HashMap::new();
        let (mut taken, mut size) = (0, 0);
        let jobs = self.shared.jobs.lock();
        for job in jobs.iter() {
            if taken > 0 && size + rows(&job.batch) > max {
                break;
            }
            size += rows(&job.batch);
            taken += 1;
            batch.activity.extend(job.batch.activity.iter().cloned());
            batch.creators.extend(job.batch.creators.iter().cloned());
            // Values are absolute and orders grow: the latest stands for all.
            tallies.extend(job.batch.tallies.iter().map(|row| (&row.0, &row.1)));
            snapshots.extend(job.batch.snapshots.iter().map(|(user, seq, bytes)| (user, (*seq, bytes))));
            batch.order = job.batch.order.or(batch.order);
        }
        batch.tallies = tallies.into_iter().map(|(key, tally)| (key.clone(), tally.clone())).collect();
        batch.snapshots =
            snapshots.into_iter().map(|(user, (seq, bytes))| (user.clone(), seq, bytes.clone())).collect();
        drop(jobs);
        batch.impressions =
            self.shared.impressions.lock().iter().take(max).map(|(_, impression)| impression.clone()).collect();
        (batch, taken)
    }

    /// Waits so long, or until a store that was away is back.
    async fn pause(&self, pause: Duration) {
        let (away, until) = (self.shared.store.trouble().is_some(), Instant::now() + pause);
        while Instant::now() < until && (!away || self.shared.store.trouble().is_some()) {
            tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        }
    }

    /// Writes until the store takes it. `false`: another node took over, and nothing is written.
    async fn write(&self, batch: Batch, context: &Context) -> bool {
        let mut backoff = Backoff::new(self.shared.settings.first_backoff, self.shared.settings.max_backoff);
        loop {
            match self.shared.store.write(batch.clone()).await {
                Ok(()) => {
                    self.shared.trouble.end();
                    if let Some(failed) = self.shared.complaint.works() {
                        tracing::info!(failed, "the feature store takes writes again");
                    }
                    return true;
                }
                Err(error @ StoreError::Fenced(_)) => {
                    self.shared.trouble.end();
                    context.probe.note_error(error);
                    return false;
                }
                Err(error) => {
                    if let Some(left_out) = self.shared.complaint.failed() {
                        tracing::warn!(%error, left_out, "a write to the feature store failed; trying again");
                    }
                    context.probe.note_error(&error);
                    self.shared.trouble.begin(format!("it takes no writes: {}", error.reason()));
                }
            }
            // While stopping, too: who asked for the stop has a deadline and kills.
            self.pause(backoff.pause()).await;
        }
    }
}
