//! What is admitted: through the sessions, into the statistics, to the feature writer.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering::Relaxed,
};

use foryou_schemas::UserId;
use futures_util::future::join_all;

use super::{
    Unsettled, Worker,
    admission::{Admission, Admitted},
};
use crate::{
    ports::store::{Activity, Batch, StoreError, creators::Said},
    services::supervisor::{Context, ServiceError},
    sessions::{AppliedEvents, SessionError, state::Applied},
    tallies,
};

impl Worker {
    /// Applies what is admitted and not known to the store.
    ///
    /// While the store is away this waits for it, and keeps what it has: events that are given back come again behind others of the
    /// same person, and a broker that gives an event out too often puts it aside.
    pub(super) async fn admit(&mut self, admission: &mut Admission, context: &Context) -> Result<(), ServiceError> {
        for _ in 0..=self.settings.retries {
            let going_on = self.dedupe(admission, context).await;
            let admitted = std::mem::take(&mut admission.admitted);
            if !going_on {
                admission.again.extend(admitted.iter().map(|each| each.tag));
                return Ok(());
            }
            let unavailable = self.apply(admitted, admission).await?;
            if unavailable.is_empty() {
                return Ok(());
            }
            admission.admitted = unavailable;
            context.stop.pause(self.settings.retry_after).await;
        }
        // The store answers, but not about these people.
        admission.again.extend(admission.admitted.drain(..).map(|each| each.tag));
        Ok(())
    }

    /// Takes out what was applied before; waits while the store is away. `false`: it is not to be waited for.
    async fn dedupe(&self, admission: &mut Admission, context: &Context) -> bool {
        while let Err(error) = admission.dedupe(&self.in_flight, &self.shared.vouchers, &*self.parts.store).await {
            if let Some(left_out) = self.no_store.failed() {
                tracing::warn!(%error, left_out, "the feature store cannot be asked; events wait");
            }
            let away = matches!(error, StoreError::Away(_));
            context.probe.note_error(error);
            if !away || !context.stop.pause(self.settings.retry_after).await {
                return false;
            }
        }
        self.store_answers();
        true
    }

    /// Applies events and hands them to the writer. Returns those whose sessions cannot be loaded now.
    async fn apply(
        &mut self,
        admitted: Vec<Admitted>,
        admission: &mut Admission,
    ) -> Result<Vec<Admitted>, ServiceError> {
        if admitted.is_empty() {
            return Ok(Vec::new());
        }
        let mut by_user: HashMap<UserId, Vec<usize>> = HashMap::new();
        for (index, each) in admitted.iter().enumerate() {
            by_user.entry(each.event.user.clone()).or_default().push(index);
        }
        let tickets = self.parts.writer.tickets();
        let ticket = tickets.draw();
        self.shared.unwritten.lock().extend(by_user.keys().cloned());
        let (sessions, all) = (&self.parts.sessions, &admitted);
        let asked = by_user.into_iter().map(|(user, indices)| async move {
            let events = indices.iter().map(|index| all[*index].incoming).collect();
            let answer = sessions.apply(&user, events, ticket).await;
            (indices, answer)
        });
        let mut outcomes: Vec<Option<(Applied, Option<[u8; 2]>)>> = vec![None; admitted.len()];
        let (mut snapshots, mut unavailable) = (Vec::new(), HashSet::new());
        for (indices, answer) in join_all(asked).await {
            match answer {
                Err(SessionError::Unavailable(_) | SessionError::Busy | SessionError::TimedOut) => {
                    unavailable.extend(indices);
                }
                Ok(AppliedEvents { applied, country, snapshot }) => {
                    let user = indices.first().map(|index| admitted[*index].event.user.clone());
                    snapshots.extend(user.zip(snapshot).map(|(user, (seq, bytes))| (user, seq, bytes)));
                    for (index, applied) in indices.into_iter().zip(applied) {
                        outcomes[index] = Some((applied, country));
                    }
                }
                Err(error) => self.postpone(indices.iter().map(|index| &admitted[*index]), &error, admission),
            }
        }
        let (mut done, mut later) = (Vec::new(), Vec::new());
        for (index, (each, outcome)) in admitted.into_iter().zip(outcomes).enumerate() {
            match outcome {
                Some((applied, country)) => done.push((each, applied, country)),
                None if unavailable.contains(&index) => later.push(each),
                None => {}
            }
        }
        let count = done.len();
        if count > 0 {
            self.tell(&done);
            self.hand_over(done, snapshots, ticket).await?;
            // Here, where nothing can come between.
            self.shared.counters.applied.fetch_add(count as u64, Relaxed);
        }
        self.shared.unwritten.lock().clear();
        Ok(later)
    }

    /// A session did not take its events: they come again, unless it will never take them.
    fn postpone<'a>(
        &self,
        events: impl Iterator<Item = &'a Admitted>,
        error: &SessionError,
        admission: &mut Admission,
    ) {
        for each in events {
            match error {
                SessionError::Broken(_) if each.redelivered >= self.settings.retries => {
                    admission.refused.push((each.tag, error.to_string()));
                }
                _ => admission.again.push(each.tag),
            }
        }
    }

    fn tell(&self, done: &[(Admitted, Applied, Option<[u8; 2]>)]) {
        for (each, ..) in done {
            let change = (each.event.id.clone(), each.event.kind, each.incoming.entry.creator);
            self.parts.subscriptions.session_changed(&each.event.user, [change]);
        }
    }

    /// Folds events into the statistics in the order of their delivery, and hands everything to the writer.
    async fn hand_over(
        &mut self,
        done: Vec<(Admitted, Applied, Option<[u8; 2]>)>,
        snapshots: Vec<(UserId, u64, Vec<u8>)>,
        ticket: u64,
    ) -> Result<(), ServiceError> {
        let live = &self.parts.live;
        let (first_order, tallies) =
            live.count(done.iter().map(|(each, applied, country)| (applied, &each.incoming.entry, *country)));
        let catalogue = live.catalogue_full();
        let named = tallies
            .iter()
            .filter_map(|(entity, tally)| Some((tallies::key(*entity, &catalogue, live)?, tallies::encode(tally))));
        let mut unsettled = Unsettled { ticket, tags: Vec::new(), events: Vec::new() };
        let mut batch = Batch {
            tallies: named.collect(),
            order: Some(first_order + done.len() as u64 - 1),
            snapshots,
            ..Batch::default()
        };
        for (order, (each, applied, _)) in (first_order..).zip(done) {
            unsettled.tags.push(each.tag);
            unsettled.events.push(each.event.id.clone());
            let creator = catalogue.creators().name(each.incoming.entry.creator);
            batch.creators.extend(Said::by(&each.event, creator));
            batch.activity.push(Activity {
                event: each.event,
                seq: applied.seq,
                order,
                gained: applied.gained,
                lost: applied.lost,
                expected: applied.expected,
            });
        }
        self.in_flight.extend(unsettled.events.iter().cloned());
        self.unsettled.push_back(unsettled);
        self.ticket = ticket;
        let _followed_by_ticket = self.parts.writer.submit(batch, Some(ticket)).await?;
        Ok(())
    }
}
