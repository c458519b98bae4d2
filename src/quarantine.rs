//! The quarantine of several nodes: what RabbitMQ's queue holds goes into the shared store, where people look at it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use foryou_actors::{
    backoff::Backoff,
    complaint::Complaint,
    ports::{
        bus::BusError,
        quarantine::{Quarantine, Rejected},
        store::StoreError,
    },
    services::supervisor::{Context, Service, ServiceError, ServiceSpec},
};
use foryou_schemas::UserId;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    brokers::rabbitmq::RabbitBus,
    stores::scylla::{Aside, ScyllaStore},
};

/// Between attempts: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Events that are written to the store at a time.
const AT_ONCE: usize = 16;
/// The largest that is kept as it came. Stores refuse rows of some 16 MiB, and no event is nearly as large as this.
const LARGEST: usize = 1 << 20;
/// How often the oldest make room, at least.
const TRIM_EVERY: Duration = Duration::from_secs(600);
/// And after so many events, of as many as are kept: a stream of them is beyond the bound by no more than this.
const TRIM_SHARE: u64 = 16;

/// Events that were rejected, in the shared store.
pub struct SharedQuarantine {
    store: Arc<ScyllaStore>,
    bus: Arc<RabbitBus>,
    max: u64,
    dropped: AtomicU64,
}

impl SharedQuarantine {
    /// Keeps `max` events at most, and each for as long as the store is configured to.
    pub fn new(store: Arc<ScyllaStore>, bus: Arc<RabbitBus>, max: u64) -> Arc<Self> {
        Arc::new(Self { store, bus, max, dropped: AtomicU64::new(0) })
    }

    /// Declares the service that fills it. Every node may run one: each takes a share.
    pub fn service(self: Arc<Self>) -> ServiceSpec {
        ServiceSpec::new("quarantine", move || Filler { to: self.clone(), complaint: Complaint::default() })
    }
}

struct Filler {
    to: Arc<SharedQuarantine>,
    complaint: Complaint,
}

#[async_trait]
impl Service for Filler {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        // Whoever waits for this service must not wait for a queue that has nothing.
        context.ready();
        while !context.stop.is_requested() {
            let error = tokio::select! {
                error = self.fill(&context, &mut backoff) => error,
                () = context.stop.requested() => return Ok(()),
            };
            if let Some(left_out) = self.complaint.failed() {
                tracing::warn!(%error, left_out, "rejected events wait in RabbitMQ; trying again");
            }
            context.probe.note_error(error);
            context.stop.pause(backoff.pause()).await;
        }
        Ok(())
    }
}

impl Filler {
    /// Moves what comes into the store, and settles it there only; ends with an error. Cut off anywhere, what was not settled comes
    /// again, and is kept once.
    async fn fill(&self, context: &Context, backoff: &mut Backoff) -> ServiceError {
        let done: Result<(), ServiceError> = async {
            let mut aside = self.to.bus.aside().await?;
            let (mut trimmed, mut since): (Option<Instant>, u64) = (None, 0);
            loop {
                if trimmed.is_none_or(|at| at.elapsed() > TRIM_EVERY) || since > self.to.max / TRIM_SHARE {
                    let dropped = self.to.store.trim_rejected(self.to.max).await?;
                    if dropped > 0 {
                        self.to.dropped.fetch_add(dropped, Relaxed);
                        tracing::warn!(dropped, max = self.to.max, "the oldest events in quarantine made room");
                    }
                    (trimmed, since) = (Some(Instant::now()), 0);
                }
                let Ok(some) = tokio::time::timeout(TRIM_EVERY, aside.next()).await else { continue };
                let (some, started) = (some?, Instant::now());
                let count = some.len();
                let kept = stream::iter(some).map(|event| async { self.to.store.keep_rejected(&event.into()).await });
                kept.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
                aside.settle().await?;
                since += count as u64;
                backoff.reset();
                if let Some(failed) = self.complaint.works() {
                    tracing::info!(failed, "rejected events come into the store again");
                }
                context.probe.handled(count as u64, started.elapsed());
            }
        }
        .await;
        done.err().unwrap_or_else(|| "it came to an end".into())
    }
}

impl From<crate::brokers::rabbitmq::PutAside> for Aside {
    fn from(event: crate::brokers::rabbitmq::PutAside) -> Self {
        let crate::brokers::rabbitmq::PutAside { at, partition, redelivered, mut reason, mut payload } = event;
        // A part of it would help nobody, and could not be found when its person is to be erased.
        if payload.len() > LARGEST {
            reason = format!("{reason} (it had {} bytes, and more than {LARGEST} are not kept)", payload.len());
            payload.clear();
        }
        Self { at, partition, redelivered, reason, payload }
    }
}

#[async_trait]
impl Quarantine for SharedQuarantine {
    async fn count(&self) -> Result<u64, BusError> {
        self.store.count_rejected().await.map_err(away)
    }

    async fn latest(&self, before: Option<u64>, reason: Option<&str>, limit: usize) -> Result<Vec<Rejected>, BusError> {
        self.store.rejected(before, reason, limit).await.map_err(away)
    }

    async fn get(&self, id: u64) -> Result<Option<Rejected>, BusError> {
        self.store.one_rejected(id).await.map_err(away)
    }

    async fn replay(&self, id: u64) -> Result<bool, BusError> {
        let Some(event) = self.get(id).await? else { return Ok(false) };
        let user = event.user();
        self.bus.publish_again(user.as_ref(), event.partition, event.payload).await?;
        // Were this cut off, the event would be here and published: its id keeps it from being applied twice.
        self.discard(id).await
    }

    async fn discard(&self, id: u64) -> Result<bool, BusError> {
        self.store.forget_rejected(id).await.map_err(away)
    }

    async fn forget(&self, user: &UserId) -> Result<(), BusError> {
        self.store.forget_rejected_of(user).await.map_err(away)
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

fn away(error: StoreError) -> BusError {
    BusError::Away(format!("its quarantine is in the store: {error}"))
}

#[cfg(test)]
mod tests;
