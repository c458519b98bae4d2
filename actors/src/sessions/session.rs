//! The actor of one person: owns the session's state, applies events to it, and hands out views of it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Running, WrapFuture};
use foryou_schemas::{Timestamp, User};
use tokio::sync::oneshot;

use super::{
    rare::Rare,
    registry::{SessionError, Shared},
    resident::{Resident, Slot},
    snapshot,
    state::{Applied, Incoming, SessionState},
};
use crate::{catalogue::VideoIndex, ports::store::Batch};

/// What a session costs beside its state's heap: actor, mailbox, registry entry (measured by `foryou bench sessions`), bytes.
const OVERHEAD_BYTES: usize = 850;
/// The most requests that wait for one event to be applied.
const MAX_WAITERS: usize = 32;

/// The actor.
pub(super) struct Session {
    shared: Arc<Shared>,
    me: Arc<Resident>,
    state: Arc<SessionState>,
    /// Why it could not be loaded; it answers what is on its way with that, and leaves.
    failed: Option<Box<SessionError>>,
    waiters: Rare<Waiter>,
    /// The latest ticket under which events were applied.
    ticket: u64,
    /// What is counted for it in [`Shared`], bytes.
    counted: u32,
    /// Messages so far, to notice a touch while it falls asleep.
    touches: u32,
    /// Events since the latest snapshot.
    unsaved: u32,
    /// Whether anything changed since the latest snapshot.
    dirty: bool,
    falling_asleep: bool,
    leaving: bool,
}

struct Waiter {
    event: u64,
    reply: oneshot::Sender<Arc<SessionState>>,
}

/// Events to be applied, in order.
#[derive(Message)]
#[rtype(result = "Result<AppliedEvents, SessionError>")]
pub(super) struct Apply {
    pub events: Arc<[Incoming]>,
    pub ticket: u64,
    /// Who asks may have given up; then nothing must be applied.
    pub claim: Arc<Claim>,
    pub slot: Slot,
}

/// What became of events.
#[derive(Debug, Clone)]
pub struct AppliedEvents {
    /// What each changed, in order.
    pub applied: Vec<Applied>,
    /// Where the person is, ISO 3166-1 alpha-2.
    pub country: Option<[u8; 2]>,
    /// From time to time a snapshot that belongs into the same write as the events: number of its latest event, bytes.
    pub snapshot: Option<(u64, Vec<u8>)>,
}

/// Asks for the state, or to wait until an event is applied.
#[derive(Message)]
#[rtype(result = "Result<Viewed, SessionError>")]
pub(super) struct View {
    /// Hash of the event's id.
    pub after: Option<u64>,
    pub slot: Slot,
}

/// The answer to [`View`].
pub(super) enum Viewed {
    /// The state; the event is applied.
    Now(Arc<SessionState>),
    /// The state as it is, and where it will come once the event is applied.
    Later(Arc<SessionState>, Option<oneshot::Receiver<Arc<SessionState>>>),
}

/// Notes a served feed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct NoteServed {
    pub videos: Vec<VideoIndex>,
    pub at: Timestamp,
    pub slot: Slot,
}

/// Tells a changed profile.
#[derive(Message)]
#[rtype(result = "Result<(), SessionError>")]
pub(super) struct SetProfile {
    pub profile: Arc<User>,
    pub slot: Slot,
}

/// Forgets the person, here and in the store.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Erase {
    pub reply: oneshot::Sender<Result<bool, SessionError>>,
    pub slot: Slot,
}

/// Asks to leave memory, once everything is durable and if nobody touches it meanwhile. Answers whether it did.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Sleep {
    pub reply: oneshot::Sender<bool>,
}

/// Leaves at once and without a trace; the next touch loads what the store has.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Discard;

/// Decides once whether a message is still wanted.
#[derive(Default)]
pub(super) struct Claim(AtomicU8);

impl Claim {
    /// Takes the decision; whoever is first gets `true`.
    pub(super) fn take(&self) -> bool {
        self.0.swap(1, SeqCst) == 0
    }
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, me: Arc<Resident>) -> Self {
        Self {
            shared,
            me,
            state: Arc::default(),
            failed: None,
            waiters: Rare::default(),
            ticket: 0,
            counted: 0,
            touches: 0,
            unsaved: 0,
            dirty: false,
            falling_asleep: false,
            leaving: false,
        }
    }

    /// Counts a touch; fails where the session could not be loaded.
    fn touch(&mut self) -> Result<(), SessionError> {
        self.touches = self.touches.wrapping_add(1);
        self.failed.as_deref().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn recount(&mut self) {
        let bytes = OVERHEAD_BYTES + size_of::<SessionState>() + self.state.heap_bytes();
        self.shared.shard(&self.me.user).bytes(bytes as i64 - i64::from(self.counted));
        self.counted = bytes as u32;
    }

    fn go(&mut self, context: &mut Context<Self>) {
        self.leaving = true;
        context.stop();
    }

    fn uncount(&mut self) {
        self.shared.shard(&self.me.user).bytes(-i64::from(std::mem::take(&mut self.counted)));
    }

    fn wake_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let state = &self.state;
        let waiting = std::mem::take(self.waiters.list());
        let (applied, waiting): (Vec<Waiter>, Vec<Waiter>) =
            waiting.into_iter().partition(|waiter| state.applied_lately(waiter.event));
        for waiter in applied {
            let _gave_up = waiter.reply.send(state.clone());
        }
        self.waiters = waiting.into_iter().filter(|waiter| !waiter.reply.is_closed()).collect();
    }

    /// After a failed load: leaves as soon as the last message has its answer. `slot` is the one that was just answered.
    fn leave_if_failed(&mut self, slot: Slot, context: &mut Context<Self>) {
        drop(slot);
        if self.failed.is_some() && self.me.on_their_way() == 0 {
            self.go(context);
        }
    }

    /// Second part of falling asleep, when all its activity is durable.
    fn save(&mut self, touches: u32, reply: oneshot::Sender<bool>, context: &mut Context<Self>) {
        if self.touches != touches {
            return self.stay(reply);
        }
        if !self.dirty {
            return self.leave(touches, reply, context);
        }
        let bytes = snapshot::encode(&self.state, &self.shared.live.catalogue_full());
        let batch = Batch { snapshots: vec![(self.me.user.clone(), self.state.seq, bytes)], ..Batch::default() };
        // Queued here and now: an erasure that comes next flushes the writer before it erases.
        let Ok(receipt) = self.shared.writer.try_submit(batch) else { return self.stay(reply) };
        context.spawn(receipt.durable().into_actor(self).map(move |durable, session, context| match durable {
            Ok(()) => session.leave(touches, reply, context),
            Err(_writer_stopped) => session.stay(reply),
        }));
    }

    fn stay(&mut self, reply: oneshot::Sender<bool>) {
        self.falling_asleep = false;
        let _gave_up = reply.send(false);
    }

    /// Last part of falling asleep, when the snapshot is durable.
    fn leave(&mut self, touches: u32, reply: oneshot::Sender<bool>, context: &mut Context<Self>) {
        if self.touches != touches || !self.me.shut_if_idle() {
            return self.stay(reply);
        }
        self.shared.forget(&self.me);
        self.shared.shard(&self.me.user).slept();
        self.uncount();
        self.go(context);
        let _gave_up = reply.send(true);
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn stopping(&mut self, _context: &mut Self::Context) -> Running {
        // Nobody holds a strong address for long, and that is no reason to stop.
        if self.leaving { Running::Stop } else { Running::Continue }
    }

    fn started(&mut self, context: &mut Self::Context) {
        // Bounded by the door instead, which also refuses: an actix sender that finds a mailbox full clones itself a place.
        context.set_mailbox_capacity(0);
        let load = self.shared.clone().wake(self.me.user.clone());
        context.wait(load.into_actor(self).map(|loaded, session, context| match loaded {
            Ok(state) => {
                session.state = Arc::new(state);
                session.recount();
                session.shared.shard(&session.me.user).woken();
                if let Some(failed) = session.shared.failing.works() {
                    tracing::info!(failed, "sessions can be loaded again");
                }
            }
            Err(error) => {
                if let Some(left_out) = session.shared.failing.failed() {
                    tracing::warn!(user = session.me.user.as_str(), %error, left_out, "a session could not be loaded");
                }
                session.failed = Some(Box::new(error.into()));
                session.me.shut();
                session.shared.forget(&session.me);
                session.shared.shard(&session.me.user).load_failed();
                if session.me.on_their_way() == 0 {
                    session.go(context);
                }
            }
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.uncount();
    }
}

impl Handler<Apply> for Session {
    type Result = Result<AppliedEvents, SessionError>;

    fn handle(&mut self, apply: Apply, context: &mut Self::Context) -> Self::Result {
        let touched = self.touch();
        if touched.is_err() || !apply.claim.take() {
            self.leave_if_failed(apply.slot, context);
            return Err(touched.err().unwrap_or(SessionError::TimedOut));
        }
        let state = Arc::make_mut(&mut self.state);
        let applied: Vec<Applied> = apply.events.iter().map(|event| state.apply(event)).collect();
        self.ticket = self.ticket.max(apply.ticket);
        self.unsaved += applied.len() as u32;
        self.dirty = true;
        let due = self.unsaved >= self.shared.settings.snapshot_every;
        let snapshot = due.then(|| {
            (self.unsaved, self.dirty) = (0, false);
            (self.state.seq, snapshot::encode(&self.state, &self.shared.live.catalogue_full()))
        });
        self.wake_waiters();
        self.recount();
        Ok(AppliedEvents { applied, country: self.state.profile.country.map(|c| c.bytes()), snapshot })
    }
}

impl Handler<View> for Session {
    type Result = Result<Viewed, SessionError>;

    fn handle(&mut self, view: View, context: &mut Self::Context) -> Self::Result {
        if let Err(error) = self.touch() {
            self.leave_if_failed(view.slot, context);
            return Err(error);
        }
        let state = self.state.clone();
        let Some(event) = view.after.filter(|event| !state.applied_lately(*event)) else {
            return Ok(Viewed::Now(state));
        };
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        if self.waiters.len() >= MAX_WAITERS {
            return Ok(Viewed::Later(state, None));
        }
        let (reply, later) = oneshot::channel();
        self.waiters.list().push(Waiter { event, reply });
        Ok(Viewed::Later(state, Some(later)))
    }
}

impl Handler<NoteServed> for Session {
    type Result = ();

    fn handle(&mut self, served: NoteServed, context: &mut Self::Context) {
        if self.touch().is_ok() {
            let at_s = u32::try_from(served.at.millis() / 1_000).unwrap_or(0);
            Arc::make_mut(&mut self.state).note_served(&served.videos, at_s);
            self.dirty = true;
            self.recount();
        }
        self.leave_if_failed(served.slot, context);
    }
}

impl Handler<SetProfile> for Session {
    type Result = Result<(), SessionError>;

    fn handle(&mut self, message: SetProfile, context: &mut Self::Context) -> Self::Result {
        let touched = self.touch();
        if touched.is_ok() {
            Arc::make_mut(&mut self.state).profile = message.profile.as_ref().into();
        }
        self.leave_if_failed(message.slot, context);
        touched
    }
}

impl Handler<Erase> for Session {
    type Result = ();

    fn handle(&mut self, erase: Erase, context: &mut Self::Context) {
        if let Err(error) = self.touch() {
            let _gave_up = erase.reply.send(Err(error));
            return self.leave_if_failed(erase.slot, context);
        }
        let (shared, user, ticket) = (self.shared.clone(), self.me.user.clone(), self.ticket);
        let work = async move {
            // What is on its way to the store would bring the person back.
            shared.writer.tickets().reached(ticket).await;
            shared.writer.flush().await.map_err(|_| SessionError::Stopped)?;
            shared.store.erase_user(&user).await.map_err(SessionError::from)
        };
        // The mailbox waits: nobody reads or writes this person meanwhile.
        context.wait(work.into_actor(self).map(|erased, session, context| {
            if erased.is_ok() {
                session.state = Arc::default();
                (session.unsaved, session.dirty) = (0, false);
                session.recount();
            }
            let _gave_up = erase.reply.send(erased);
            drop(erase.slot);
            if session.me.shut_if_idle() {
                session.shared.forget(&session.me);
                session.go(context);
            }
        }));
    }
}

impl Handler<Sleep> for Session {
    type Result = ();

    fn handle(&mut self, sleep: Sleep, context: &mut Self::Context) {
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        if self.falling_asleep || self.failed.is_some() || !self.waiters.is_empty() {
            let _gave_up = sleep.reply.send(false);
            return;
        }
        self.falling_asleep = true;
        let (shared, ticket, touches) = (self.shared.clone(), self.ticket, self.touches);
        let durable = async move { shared.writer.tickets().reached(ticket).await };
        context.spawn(
            durable.into_actor(self).map(move |(), session, context| session.save(touches, sleep.reply, context)),
        );
    }
}

impl Handler<Discard> for Session {
    type Result = ();

    fn handle(&mut self, _discard: Discard, context: &mut Self::Context) {
        self.me.shut();
        self.shared.forget(&self.me);
        self.go(context);
    }
}
