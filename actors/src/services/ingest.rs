//! From the event bus into sessions, statistics and the feature store: each event once, however often it is delivered.
//!
//! A batch of deliveries is parsed, deduplicated, applied by the sessions (in parallel over people, in order for each),
//! folded into the statistics, and handed to the feature writer. Only what is durable is acknowledged; the next batches are
//! applied meanwhile. Whatever ingest itself loses by a failure is delivered again, and what it had applied by then is
//! discarded from memory first: the store is the truth.

mod admission;
mod apply;
mod hands;
mod vouchers;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use foryou_schemas::{Event, EventId, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Instrument;

use self::{admission::Admission, vouchers::Vouchers};
use super::{
    membership::{Home, Membership},
    subscriptions::Subscriptions,
    supervisor::{Context, Service, ServiceError, ServiceSpec},
    writer::FeatureWriter,
};
use crate::{
    TRACES,
    backoff::Backoff,
    complaint::Complaint,
    live::Live,
    ports::{
        bus::{BusError, Delivery, EventBus, Partitions, Subscription},
        store::{FeatureStore, StoreError},
    },
    sessions::Sessions,
    tallies,
};

/// How ingest works.
#[derive(Debug, Clone, Copy)]
pub struct IngestSettings {
    /// The most deliveries that are not settled.
    pub credit: usize,
    /// The most deliveries that are handled together.
    pub max_batch: usize,
    /// How often a delivery that cannot be applied (unknown video, unreadable session) comes again before it is quarantined.
    pub retries: u32,
    /// After how long it comes again.
    pub retry_after: Duration,
    /// The longest pause between attempts to reach a bus or a store that is away.
    pub max_backoff: Duration,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            credit: 4_096,
            max_batch: 256,
            retries: 5,
            retry_after: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
        }
    }
}

/// What ingest works with.
#[derive(Clone)]
pub struct IngestParts {
    /// Where events come from.
    pub bus: Arc<dyn EventBus>,
    /// Which events are known, and the statistics at the start.
    pub store: Arc<dyn FeatureStore>,
    /// Catalogue and statistics; the catalogue is loaded.
    pub live: Arc<Live>,
    /// Who applies events.
    pub sessions: Sessions,
    /// Who makes them durable.
    pub writer: FeatureWriter,
    /// Who hears of them.
    pub subscriptions: Subscriptions,
    /// Which partitions are this node's.
    pub membership: Membership,
}

/// Figures of ingest since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IngestStats {
    /// Events applied.
    pub applied: u64,
    /// Deliveries of events that were applied before.
    pub duplicates: u64,
    /// Deliveries that were given back to come again.
    pub deferred: u64,
    /// Deliveries that were put aside for good.
    pub quarantined: u64,
}

#[derive(Default)]
struct Counters {
    applied: AtomicU64,
    duplicates: AtomicU64,
    deferred: AtomicU64,
    quarantined: AtomicU64,
}

/// The handle: what ingest did so far, and which events are known.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
    store: Arc<dyn FeatureStore>,
    membership: Membership,
}

/// What outlives an incarnation.
#[derive(Default)]
struct Shared {
    counters: Counters,
    /// Whose sessions are applying events that the writer does not have yet.
    unwritten: Mutex<Vec<UserId>>,
    vouchers: Vouchers,
}

impl Ingest {
    /// The handle, and the service to be supervised. It must start after the feature writer.
    pub fn new(settings: IngestSettings, parts: IngestParts) -> (Self, ServiceSpec) {
        let shared = Arc::<Shared>::default();
        let handle = Self { shared: shared.clone(), store: parts.store.clone(), membership: parts.membership.clone() };
        let spec = ServiceSpec::new("ingest", move || Worker {
            settings,
            parts: parts.clone(),
            shared: shared.clone(),
            in_flight: HashSet::new(),
            unsettled: VecDeque::new(),
            deferred: VecDeque::new(),
            open: HashMap::new(),
            leaving: Partitions::default(),
            ticket: 0,
            no_bus: Complaint::default(),
            no_store: Complaint::default(),
        });
        (handle, spec)
    }

    /// Figures as of now.
    pub fn stats(&self) -> IngestStats {
        let counters = &self.shared.counters;
        IngestStats {
            applied: counters.applied.load(Relaxed),
            duplicates: counters.duplicates.load(Relaxed),
            deferred: counters.deferred.load(Relaxed),
            quarantined: counters.quarantined.load(Relaxed),
        }
    }

    /// Which of these events, about to be published by this node, the store has, in their order. Those of this node's own people
    /// may be published meanwhile: ingest waits for this answer, and does not ask again.
    pub async fn known(&self, events: &[&Event]) -> Result<Vec<bool>, StoreError> {
        let ours = events.iter().filter(|event| self.membership.home(&event.user) == Home::Here);
        let asking = self.shared.vouchers.ask(ours.map(|event| &event.id));
        let ids: Vec<EventId> = events.iter().map(|event| event.id.clone()).collect();
        let known = self.store.known_events(&ids).await?;
        let mut have: HashSet<_> = ids.iter().zip(&known).filter_map(|(id, known)| known.then_some(id)).collect();
        for late in asking.answered(|id| !have.contains(id)) {
            have.remove(&late);
        }
        Ok(ids.iter().map(|id| have.contains(id)).collect())
    }
}

struct Worker {
    settings: IngestSettings,
    parts: IngestParts,
    shared: Arc<Shared>,
    /// Events that are applied and not yet durable.
    in_flight: HashSet<EventId>,
    unsettled: VecDeque<Unsettled>,
    /// Deliveries to be given back, and when; in the order of time.
    deferred: VecDeque<(Instant, Vec<u64>)>,
    /// Deliveries that are not settled, and their partitions.
    open: HashMap<u64, u16>,
    /// Partitions that this node lets go, once everything of them is settled.
    leaving: Partitions,
    /// The latest ticket under which something was handed to the writer.
    ticket: u64,
    /// Of a bus that gives nothing, and of a store that does not answer.
    no_bus: Complaint,
    no_store: Complaint,
}

/// Deliveries to be acknowledged once a ticket is complete.
struct Unsettled {
    ticket: u64,
    tags: Vec<u64>,
    events: Vec<EventId>,
}

/// Why consuming came to an end.
enum End {
    /// The bus was closed or failed, or the service is to stop.
    Bus(Result<(), BusError>),
    /// Another node took over: what is in memory here is behind the store.
    Fenced,
}

#[async_trait]
impl Service for Worker {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        self.recover(&context).await?;
        context.ready();
        let mut backoff = self.backoff();
        while !context.stop.is_requested() {
            let end = match self.subscribe().await {
                Ok(mut subscription) => {
                    if let Some(failed) = self.no_bus.works() {
                        tracing::info!(failed, "the event bus is back");
                    }
                    let (since, end) = (Instant::now(), self.consume(&mut *subscription, &context).await?);
                    backoff.worked_for(since.elapsed());
                    end
                }
                Err(error) => End::Bus(Err(error)),
            };
            // Tags mean nothing to the next subscription, which delivers again what was not settled.
            self.deferred.clear();
            self.open.clear();
            self.unsettled.iter_mut().for_each(|each| each.tags.clear());
            match end {
                End::Bus(Ok(())) => {}
                End::Bus(Err(error)) => {
                    if let Some(left_out) = self.no_bus.failed() {
                        tracing::warn!(%error, left_out, "the event bus is away; trying again");
                    }
                    context.probe.note_error(error);
                }
                End::Fenced => {
                    tracing::warn!("another node took over what this one owned; beginning anew from the store");
                    context.probe.note_error("another node took over");
                    self.recover(&context).await?;
                }
            }
            context.stop.pause(backoff.pause()).await;
        }
        self.parts.membership.release_all();
        Ok(())
    }
}

impl Worker {
    /// Begins at what is durable: nothing is on its way to the store, no session is ahead of it, statistics are as stored.
    async fn recover(&mut self, context: &Context) -> Result<(), ServiceError> {
        self.in_flight.clear();
        self.unsettled.clear();
        if *self.parts.writer.fenced().borrow() {
            self.parts.membership.release_all();
            self.parts.sessions.discard_where(|_| true).await;
            self.parts.writer.resume();
        }
        self.parts.writer.flush().await?;
        self.shared.vouchers.void();
        let ahead = std::mem::take(&mut *self.shared.unwritten.lock());
        self.parts.sessions.discard(ahead).await;
        self.parts.writer.tickets().complete_all();
        let mut backoff = self.backoff();
        while let Err(error) = tallies::restore(&*self.parts.store, &self.parts.live).await {
            if let Some(left_out) = self.no_store.failed() {
                tracing::warn!(%error, left_out, "statistics cannot be read; trying again");
            }
            context.probe.note_error(error);
            if !context.stop.pause(backoff.pause()).await {
                break;
            }
        }
        self.store_answers();
        Ok(())
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.retry_after, self.settings.max_backoff)
    }

    fn store_answers(&self) {
        if let Some(failed) = self.no_store.works() {
            tracing::info!(failed, "the feature store answers again; events go on");
        }
    }

    /// Consumes until the bus is closed or fails, or until the service is to stop and everything is settled.
    async fn consume(&mut self, subscription: &mut dyn Subscription, context: &Context) -> Result<End, ServiceError> {
        let mut durable = self.parts.writer.tickets().subscribe();
        let mut fenced = self.parts.writer.fenced();
        let mut wanted = self.parts.membership.wanted();
        wanted.mark_changed();
        loop {
            if let Err(error) = self.settle(subscription).await {
                return Ok(End::Bus(Err(error)));
            }
            if *fenced.borrow_and_update() {
                return Ok(End::Fenced);
            }
            let stopping = context.stop.is_requested();
            if stopping && self.unsettled.is_empty() {
                return Ok(End::Bus(Ok(())));
            }
            if !self.leaving.is_empty() {
                self.hand_on().await?;
            }
            // One at a time: what is on its way out comes back only after it has left.
            if wanted.has_changed()? && self.leaving.is_empty() && !stopping {
                let wanted = wanted.borrow_and_update().clone();
                if let Err(error) = self.change_hands(&wanted, subscription).await {
                    return Ok(End::Bus(Err(error)));
                }
                continue;
            }
            let give_back = self.deferred.front().map_or_else(Instant::now, |(at, _)| *at);
            tokio::select! {
                deliveries = subscription.next(self.settings.max_batch), if !stopping => {
                    let handled = match deliveries {
                        Ok(deliveries) if deliveries.is_empty() => return Ok(End::Bus(Ok(()))),
                        Ok(deliveries) => {
                            let events = deliveries.len() as i64;
                            let span = tracing::trace_span!(target: TRACES, "ingest", otel.kind = "consumer", events);
                            self.handle(deliveries, subscription, context).instrument(span).await?
                        }
                        Err(error) => Err(error),
                    };
                    if let Err(error) = handled {
                        return Ok(End::Bus(Err(error)));
                    }
                }
                changed = durable.changed(), if !self.unsettled.is_empty() => changed?,
                changed = wanted.changed(), if self.leaving.is_empty() && !stopping => {
                    changed?;
                    wanted.mark_changed();
                }
                changed = fenced.changed() => changed?,
                () = tokio::time::sleep_until(give_back), if !self.deferred.is_empty() => {}
                () = context.stop.requested(), if !stopping => {}
            }
        }
    }

    /// Acknowledges what is durable by now, and gives back what is due.
    async fn settle(&mut self, subscription: &mut dyn Subscription) -> Result<(), BusError> {
        let durable = self.parts.writer.tickets().durable();
        let mut tags = Vec::new();
        let settled = self.unsettled.partition_point(|each| each.ticket <= durable);
        for each in self.unsettled.drain(..settled) {
            tags.extend(each.tags);
            self.shared.vouchers.forget(&each.events);
            each.events.iter().for_each(|event| {
                self.in_flight.remove(event);
            });
        }
        if !tags.is_empty() {
            tags.iter().for_each(|tag| _ = self.open.remove(tag));
            subscription.ack(&tags).await?;
        }
        let now = Instant::now();
        let due = self.deferred.partition_point(|(at, _)| *at <= now);
        for (_, tags) in self.deferred.drain(..due) {
            tags.iter().for_each(|tag| _ = self.open.remove(tag));
            subscription.nack(&tags).await?;
        }
        Ok(())
    }

    async fn handle(
        &mut self,
        deliveries: Vec<Delivery>,
        subscription: &mut dyn Subscription,
        context: &Context,
    ) -> Result<Result<(), BusError>, ServiceError> {
        let (started, count) = (Instant::now(), deliveries.len());
        self.open.extend(deliveries.iter().map(|delivery| (delivery.tag, delivery.partition)));
        let parts = &self.parts;
        // A node alone has everybody, whatever partition an event came through.
        let partitions = (!parts.membership.is_alone()).then(|| parts.bus.partitions());
        let mut admission =
            Admission::new(deliveries, &parts.live, Timestamp::now(), self.settings.retries, partitions);
        self.admit(&mut admission, context).await?;
        let counters = &self.shared.counters;
        counters.duplicates.fetch_add(admission.duplicates.len() as u64, Relaxed);
        counters.deferred.fetch_add(admission.again.len() as u64, Relaxed);
        counters.quarantined.fetch_add(admission.refused.len() as u64, Relaxed);
        if !admission.duplicates.is_empty() {
            // The first delivery of it may still be on its way to the store: then this one waits as well.
            self.unsettled.push_back(Unsettled { ticket: self.ticket, tags: admission.duplicates, events: Vec::new() });
        }
        if !admission.again.is_empty() {
            self.deferred.push_back((Instant::now() + self.settings.retry_after, admission.again));
        }
        for (tag, reason) in admission.refused {
            self.open.remove(&tag);
            if let Err(error) = subscription.quarantine(tag, &reason).await {
                return Ok(Err(error));
            }
        }
        context.probe.handled(count as u64, started.elapsed());
        Ok(Ok(()))
    }
}
