//! All sessions of this node: finds a person's actor, makes one on first touch, puts idle ones to sleep.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{
    Actor, Addr, ArbiterHandle, Context, Handler, Message,
    dev::{ToEnvelope, channel::channel},
};
use foryou_schemas::{EventId, Timestamp, User, UserId};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

mod figures;
mod sleep;

pub use super::session::AppliedEvents;
use super::{
    arbiters::Arbiters,
    resident::{Refused, Resident, Slot},
    session::{Apply, Claim, Discard, Erase, NoteServed, Session, SetProfile, View, Viewed},
    snapshot::{self, Rebuilt},
    state::{Incoming, SessionState, event_hash},
};
use crate::{
    catalogue::VideoIndex,
    complaint::Complaint,
    live::Live,
    ports::store::{Batch, FeatureStore, StoreError},
    services::writer::FeatureWriter,
};
use figures::Counters;
pub use figures::{Busy, SessionStats, ShardStats};

/// How often a message is sent again to a successor of an actor that left or failed.
const ATTEMPTS: usize = 4;
/// After so long a wait for an event, the store is asked whether it was applied long ago.
const ASK_STORE_AFTER: Duration = Duration::from_millis(15);

/// How sessions are kept.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings {
    /// Threads that run sessions.
    pub arbiters: usize,
    /// A session that nobody touched for so long goes to sleep.
    pub idle: Duration,
    /// What all sessions may occupy (estimated), bytes; beyond it the longest untouched go to sleep.
    pub budget_bytes: u64,
    /// How often idle sessions are looked for.
    pub sweep_every: Duration,
    /// The most messages on their way to one session.
    pub mailbox: u32,
    /// The longest wait for an answer.
    pub patience: Duration,
    /// Events between two snapshots of a busy session.
    pub snapshot_every: u32,
    /// The most sessions that load at the same time.
    pub loads: usize,
    /// The longest time that saving all sessions may take at shutdown; the others are rebuilt from activity later.
    pub save_within: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            arbiters: 2,
            idle: Duration::from_secs(15 * 60),
            budget_bytes: 1 << 30,
            sweep_every: Duration::from_secs(1),
            mailbox: 256,
            patience: Duration::from_secs(5),
            snapshot_every: 64,
            loads: 64,
            save_within: Duration::from_secs(5),
        }
    }
}

/// Why a session did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The store is away: worth trying again.
    #[error("the session is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// What is stored of it does not decode, or its actor keeps failing.
    #[error("the session is broken: {0}")]
    Broken(Arc<str>),
    /// Too many messages are on their way to it.
    #[error("the session is busy; try again")]
    Busy,
    /// No answer in time; what was asked did not happen.
    #[error("the session did not answer in time")]
    TimedOut,
    /// Sessions are shut down.
    #[error("sessions are stopped")]
    Stopped,
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) | StoreError::Fenced(_) => Self::Unavailable(error.to_string().into()),
            StoreError::Corrupt(_) => Self::Broken(error.to_string().into()),
        }
    }
}

/// What all session actors share.
pub(super) struct Shared {
    pub(super) settings: SessionSettings,
    pub(super) store: Arc<dyn FeatureStore>,
    pub(super) live: Arc<Live>,
    pub(super) writer: FeatureWriter,
    /// What each shard counts.
    shards: Box<[Counters]>,
    residents: papaya::HashMap<UserId, Arc<Resident>>,
    loads: Semaphore,
    /// Loads that failed.
    pub(super) failing: Complaint,
    /// People whose actor panicked: their activity may still be on its way to the store.
    crashed: Mutex<HashSet<UserId>>,
    stopped: AtomicBool,
}

impl Shared {
    /// Builds a session from the store.
    pub(super) async fn load(self: Arc<Self>, user: UserId) -> Result<Rebuilt, StoreError> {
        let _permit = self.loads.acquire().await;
        if self.crashed.lock().remove(&user) && self.writer.flush().await.is_err() {
            return Err(StoreError::Away("the feature writer is stopped".into()));
        }
        let stored = self.store.session(&user).await?;
        snapshot::rebuild(&user, &stored, &self.live)
    }

    /// [`Shared::load`] for the one actor that holds the session: what its creators' table does not know yet is on its way there
    /// before anything that the session does.
    pub(super) async fn wake(self: Arc<Self>, user: UserId) -> Result<SessionState, StoreError> {
        let Rebuilt { state, untold } = self.clone().load(user.clone()).await?;
        if !untold.is_empty() {
            let snapshots = vec![(user, state.seq, snapshot::encode(&state, &self.live.catalogue_full()))];
            let batch = Batch { creators: untold, snapshots, ..Batch::default() };
            let taken = self.writer.submit(batch, None).await;
            let _durable_in_its_turn = taken.map_err(|_| StoreError::Away("the feature writer is stopped".into()))?;
        }
        Ok(state)
    }

    /// Takes a session out of the registry, unless it has a successor there.
    pub(super) fn forget(&self, resident: &Arc<Resident>) {
        let _has_successor = self.residents.pin().remove_if(&resident.user, |_, found| Arc::ptr_eq(found, resident));
    }
}

/// The handle of all sessions.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
    arbiters: Arc<Arbiters>,
    handles: Arc<[ArbiterHandle]>,
    started: Instant,
}

impl Sessions {
    /// Starts the threads that run sessions. The catalogue must be loaded: names that it does not know are lost on loading.
    pub fn start(
        settings: SessionSettings,
        store: Arc<dyn FeatureStore>,
        live: Arc<Live>,
        writer: FeatureWriter,
    ) -> std::io::Result<Self> {
        let arbiters = Arbiters::start(settings.arbiters.max(1))?;
        let handles = arbiters.handles();
        let shared = Arc::new(Shared {
            settings,
            store,
            live,
            writer,
            shards: handles.iter().map(|_| Counters::default()).collect(),
            residents: papaya::HashMap::new(),
            loads: Semaphore::new(settings.loads.max(1)),
            failing: Complaint::default(),
            crashed: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        Ok(Self { shared, arbiters: Arc::new(arbiters), handles, started: Instant::now() })
    }

    /// A person's session as of now; loads it where it is not in memory.
    pub async fn view(&self, user: &UserId) -> Result<Arc<SessionState>, SessionError> {
        match self.ask(user, |slot| View { after: None, slot }).await? {
            Viewed::Now(state) | Viewed::Later(state, _) => Ok(state),
        }
    }

    /// A person's session as the store has it, rebuilt for this call alone: nothing is kept of it here. For people whose session
    /// another node holds, or nobody just now; what is not durable yet is missing.
    pub async fn peek(&self, user: &UserId) -> Result<Arc<SessionState>, SessionError> {
        let load = tokio::time::timeout(self.shared.settings.patience, self.shared.clone().load(user.clone()));
        Ok(Arc::new(load.await.map_err(|_| SessionError::TimedOut)??.state))
    }

    /// Whether the store knows an event: then [`Sessions::peek`] shows it.
    pub async fn is_stored(&self, event: &EventId) -> bool {
        let known = self.shared.store.known_events(std::slice::from_ref(event)).await;
        known.is_ok_and(|known| known.first() == Some(&true))
    }

    /// A person's session once `event` is applied, or as it is after `wait`; says whether the event is applied.
    pub async fn view_after(
        &self,
        user: &UserId,
        event: &EventId,
        wait: Duration,
    ) -> Result<(Arc<SessionState>, bool), SessionError> {
        let deadline = tokio::time::Instant::now() + wait;
        let after = Some(event_hash(event.as_str()));
        let later = match self.ask(user, |slot| View { after, slot }).await? {
            Viewed::Now(state) => return Ok((state, true)),
            Viewed::Later(_, later) => later,
        };
        let applied_now = async {
            match later {
                Some(later) => later.await.ok(),
                None => None,
            }
        };
        let applied_before = async {
            tokio::time::sleep(ASK_STORE_AFTER.min(wait / 2)).await;
            if !self.is_stored(event).await {
                std::future::pending::<()>().await;
            }
        };
        let applied = tokio::select! {
            state = applied_now => match state {
                Some(state) => return Ok((state, true)),
                // Too many wait, or the session was discarded.
                None => false,
            },
            () = applied_before => true,
            () = tokio::time::sleep_until(deadline) => false,
        };
        // The state may have moved on while this waited.
        match self.ask(user, |slot| View { after, slot }).await? {
            Viewed::Now(state) => Ok((state, true)),
            Viewed::Later(state, _) => Ok((state, applied)),
        }
    }

    /// Applies events in order; the caller sees to it that each comes once. `ticket` (see
    /// [`crate::services::tickets::Tickets`]) stands for their durability; 0 where that is not this node's matter. An error
    /// means that none was applied.
    pub async fn apply(
        &self,
        user: &UserId,
        events: Vec<Incoming>,
        ticket: u64,
    ) -> Result<AppliedEvents, SessionError> {
        let events: Arc<[Incoming]> = events.into();
        let claim = Arc::new(Claim::default());
        let asked =
            self.ask_unhurried(user, |slot| Apply { events: events.clone(), ticket, claim: claim.clone(), slot });
        tokio::pin!(asked);
        tokio::select! {
            applied = &mut asked => applied,
            () = tokio::time::sleep(self.shared.settings.patience) => match claim.take() {
                // It will not be applied any more.
                true => Err(SessionError::TimedOut),
                // It is being applied: the answer is under way.
                false => asked.await,
            },
        }
    }

    /// Notes that a feed was served. Does not wait; where too much is on its way to the session, it is dropped and counted.
    pub fn served(&self, user: &UserId, videos: Vec<VideoIndex>, at: Timestamp) {
        if let Ok(slot) = self.enter(user)
            && let Some(addr) = slot.resident().addr()
        {
            addr.do_send(NoteServed { videos, at, slot });
        }
    }

    /// Tells a session in memory that the profile changed (in the store it has already).
    pub async fn set_profile(&self, user: &UserId, profile: &User) -> Result<(), SessionError> {
        if self.resident(user).is_none() {
            return Ok(());
        }
        let profile = Arc::new(profile.clone());
        self.ask(user, |slot| SetProfile { profile: profile.clone(), slot }).await
    }

    /// Forgets a person in memory and in the store. Returns whether there was anything.
    pub async fn erase(&self, user: &UserId) -> Result<bool, SessionError> {
        for _ in 0..ATTEMPTS {
            let slot = self.enter(user)?;
            let (reply, erased) = oneshot::channel();
            let resident = slot.resident().clone();
            if let Some(addr) = resident.addr() {
                addr.do_send(Erase { reply, slot });
            }
            match tokio::time::timeout(self.shared.settings.patience, erased).await {
                Ok(Ok(erased)) => return erased,
                Ok(Err(_left)) => self.bury(&resident),
                Err(_) => return Err(SessionError::TimedOut),
            }
        }
        Err(SessionError::Broken("its actor keeps failing".into()))
    }

    /// Drops sessions from memory without saving them; the next touch loads what the store has.
    pub async fn discard(&self, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            if let Some(addr) = self.resident(&user).and_then(|resident| resident.addr()) {
                let _left_already = addr.send(Discard).await;
            }
        }
    }

    /// [`Sessions::discard`] for everybody in memory of whom `which` holds.
    pub async fn discard_where(&self, which: impl Fn(&UserId) -> bool) {
        let users: Vec<UserId> = self.shared.residents.pin().keys().filter(|user| which(user)).cloned().collect();
        self.discard(users).await;
    }

    /// The settings in force.
    pub fn settings(&self) -> &SessionSettings {
        &self.shared.settings
    }

    /// Ends the threads that run sessions. What was not put to sleep is rebuilt from activity, as after a crash.
    pub async fn stop(&self) {
        self.shared.stopped.store(true, Relaxed);
        self.arbiters.stop().await;
    }

    fn resident(&self, user: &UserId) -> Option<Arc<Resident>> {
        self.shared.residents.pin().get(user).cloned()
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// A place on the way to the person's actor, which is made where there is none.
    fn enter(&self, user: &UserId) -> Result<Slot, SessionError> {
        let bound = self.shared.settings.mailbox;
        loop {
            if self.shared.stopped.load(Relaxed) {
                return Err(SessionError::Stopped);
            }
            let entered = match self.resident(user) {
                Some(resident) => resident.enter(bound, self.now_ms()).map_err(|refused| (refused, resident)),
                None => self.make(user, bound),
            };
            match entered {
                Ok(slot) => return Ok(slot),
                Err((Refused::Busy, _)) => {
                    self.shared.shard(user).refused();
                    return Err(SessionError::Busy);
                }
                Err((Refused::Shut, resident)) => self.shared.forget(&resident),
            }
        }
    }

    /// Makes an actor, unless somebody else just did, and gives a place on the way to it. The place is taken before the actor runs: one
    /// whose load fails at once would have left before anybody entered, and another be made, for ever.
    fn make(&self, user: &UserId, bound: u32) -> Result<Slot, (Refused, Arc<Resident>)> {
        let (sender, receiver) = channel(0);
        let made = Resident::new(user.clone(), Addr::new(sender).downgrade(), self.now_ms());
        let enter = |resident: &Arc<Resident>| {
            resident.enter(bound, self.now_ms()).map_err(|refused| (refused, resident.clone()))
        };
        let slot = enter(&made)?;
        let residents = self.shared.residents.pin();
        let resident = residents.get_or_insert(user.clone(), made.clone()).clone();
        if !Arc::ptr_eq(&resident, &made) {
            return enter(&resident);
        }
        let (shared, me) = (self.shared.clone(), made);
        let arbiter = &self.handles[self.shared.shard_of(user)];
        arbiter.spawn_fn(move || {
            Context::with_receiver(receiver).run(Session::new(shared, me));
        });
        Ok(slot)
    }

    async fn ask<M, R>(&self, user: &UserId, message: impl Fn(Slot) -> M) -> Result<R, SessionError>
    where
        M: Message<Result = Result<R, SessionError>> + Send + 'static,
        R: Send + 'static,
        Session: Handler<M>,
        <Session as Actor>::Context: ToEnvelope<Session, M>,
    {
        let asked = self.ask_unhurried(user, message);
        tokio::time::timeout(self.shared.settings.patience, asked).await.unwrap_or(Err(SessionError::TimedOut))
    }

    async fn ask_unhurried<M, R>(&self, user: &UserId, message: impl Fn(Slot) -> M) -> Result<R, SessionError>
    where
        M: Message<Result = Result<R, SessionError>> + Send + 'static,
        R: Send + 'static,
        Session: Handler<M>,
        <Session as Actor>::Context: ToEnvelope<Session, M>,
    {
        for _ in 0..ATTEMPTS {
            let slot = self.enter(user)?;
            let resident = slot.resident().clone();
            let answer = match resident.addr() {
                Some(addr) => addr.send(message(slot)).await.ok(),
                None => None,
            };
            match answer {
                Some(answer) => return answer,
                None => self.bury(&resident),
            }
        }
        Err(SessionError::Broken("its actor keeps failing".into()))
    }

    /// Makes way for a successor of an actor that did not answer.
    fn bury(&self, resident: &Arc<Resident>) {
        if !resident.is_shut() && !self.shared.stopped.load(Relaxed) {
            // It did not leave: it panicked.
            self.shared.crashed.lock().insert(resident.user.clone());
            self.shared.shard(&resident.user).crashed();
            resident.shut();
        }
        self.shared.forget(resident);
    }
}
