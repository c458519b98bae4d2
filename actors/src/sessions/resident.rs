//! A session that is in memory, as the registry sees it: its address, when it was last touched, what is on its way to it.

use std::sync::{
    Arc,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use actix::{Addr, WeakAddr};
use foryou_schemas::UserId;

use super::session::Session;

/// The highest bit of [`Resident::door`]: no message may set out any more.
const SHUT: u32 = 1 << 31;

/// One resident session.
pub(super) struct Resident {
    pub(super) user: UserId,
    /// A strong address would take two more allocations for as long as the session lives.
    addr: WeakAddr<Session>,
    /// Milliseconds since the registry was started.
    touched: AtomicU64,
    /// How many messages are on their way, and whether the door is [`SHUT`].
    door: AtomicU32,
    /// How many messages set out so far.
    messages: AtomicU32,
}

/// Why a message could not set out.
pub(super) enum Refused {
    /// The session leaves: look for its successor.
    Shut,
    /// Too many are on their way.
    Busy,
}

impl Resident {
    pub(super) fn new(user: UserId, addr: WeakAddr<Session>, now_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            user,
            addr,
            touched: AtomicU64::new(now_ms),
            door: AtomicU32::new(0),
            messages: AtomicU32::new(0),
        })
    }

    /// The actor's address, while the actor lives.
    pub(super) fn addr(&self) -> Option<Addr<Session>> {
        self.addr.upgrade()
    }

    /// Lets one message set out, where fewer than `bound` do already.
    pub(super) fn enter(self: &Arc<Self>, bound: u32, now_ms: u64) -> Result<Slot, Refused> {
        let entered = self.door.fetch_update(SeqCst, SeqCst, |door| (door < bound).then_some(door + 1));
        match entered {
            Ok(_) => {
                self.touched.store(now_ms, SeqCst);
                self.messages.fetch_add(1, Relaxed);
                Ok(Slot(self.clone()))
            }
            Err(door) if door & SHUT != 0 => Err(Refused::Shut),
            Err(_) => Err(Refused::Busy),
        }
    }

    /// Shuts the door if nothing is on its way.
    pub(super) fn shut_if_idle(&self) -> bool {
        self.door.compare_exchange(0, SHUT, SeqCst, SeqCst).is_ok()
    }

    /// Shuts the door; what is on its way may still arrive.
    pub(super) fn shut(&self) {
        self.door.fetch_or(SHUT, SeqCst);
    }

    pub(super) fn is_shut(&self) -> bool {
        self.door.load(SeqCst) & SHUT != 0
    }

    /// How many messages are on their way.
    pub(super) fn on_their_way(&self) -> u32 {
        self.door.load(SeqCst) & !SHUT
    }

    /// How many messages set out since it came into memory.
    pub(super) fn messages(&self) -> u32 {
        self.messages.load(Relaxed)
    }

    /// When it was last touched, milliseconds since the registry was started.
    pub(super) fn touched(&self) -> u64 {
        self.touched.load(SeqCst)
    }
}

/// A message's place on its way to a session; it travels inside the message.
pub(super) struct Slot(Arc<Resident>);

impl Slot {
    pub(super) fn resident(&self) -> &Arc<Resident> {
        &self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.door.fetch_sub(1, SeqCst);
    }
}
