//! What can be seen of all sessions: figures of each shard (the thread that runs them), and who is busiest.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use foryou_schemas::UserId;

use super::{super::resident::Resident, Sessions, Shared};
use crate::sessions::state::event_hash;

/// Figures of all sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Sessions in memory.
    pub resident: usize,
    /// What they occupy (estimated), bytes.
    pub bytes: u64,
    /// Sessions loaded since the start.
    pub woken: u64,
    /// Sessions put to sleep since the start.
    pub slept: u64,
    /// Loads that failed.
    pub load_failures: u64,
    /// Messages refused because too many were on their way to the session.
    pub refused: u64,
    /// Actors that panicked.
    pub crashed: u64,
}

/// The figures of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardStats {
    /// What all shards have; `resident` is counted now.
    pub sessions: SessionStats,
    /// Messages on their way to its sessions.
    pub waiting: u64,
}

/// A session in memory, as the list of the busiest shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// Whose.
    pub user: UserId,
    /// The shard that runs it.
    pub shard: usize,
    /// Messages since it came into memory.
    pub messages: u32,
    /// Messages on their way to it.
    pub waiting: u32,
    /// Since it was last touched, milliseconds.
    pub idle_ms: u64,
}

/// What a shard counts.
#[derive(Default)]
pub(in crate::sessions) struct Counters {
    bytes: AtomicI64,
    woken: AtomicU64,
    slept: AtomicU64,
    load_failures: AtomicU64,
    refused: AtomicU64,
    crashed: AtomicU64,
}

impl Counters {
    pub(in crate::sessions) fn bytes(&self, change: i64) {
        self.bytes.fetch_add(change, Relaxed);
    }
    pub(in crate::sessions) fn woken(&self) {
        self.woken.fetch_add(1, Relaxed);
    }
    pub(in crate::sessions) fn slept(&self) {
        self.slept.fetch_add(1, Relaxed);
    }
    pub(in crate::sessions) fn load_failed(&self) {
        self.load_failures.fetch_add(1, Relaxed);
    }
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }
    pub(super) fn crashed(&self) {
        self.crashed.fetch_add(1, Relaxed);
    }

    fn stats(&self) -> SessionStats {
        SessionStats {
            resident: 0,
            bytes: u64::try_from(self.bytes.load(Relaxed)).unwrap_or(0),
            woken: self.woken.load(Relaxed),
            slept: self.slept.load(Relaxed),
            load_failures: self.load_failures.load(Relaxed),
            refused: self.refused.load(Relaxed),
            crashed: self.crashed.load(Relaxed),
        }
    }
}

impl Shared {
    /// The number of the shard that runs a person's session.
    pub(super) fn shard_of(&self, user: &UserId) -> usize {
        (event_hash(user.as_str()) % self.shards.len().max(1) as u64) as usize
    }

    /// What that shard counts.
    pub(in crate::sessions) fn shard(&self, user: &UserId) -> &Counters {
        &self.shards[self.shard_of(user)]
    }
}

impl Sessions {
    /// Figures as of now.
    pub fn stats(&self) -> SessionStats {
        let shards = self.shared.shards.iter().map(Counters::stats);
        let sum = shards.fold(SessionStats::default(), |sum, shard| SessionStats {
            resident: 0,
            bytes: sum.bytes + shard.bytes,
            woken: sum.woken + shard.woken,
            slept: sum.slept + shard.slept,
            load_failures: sum.load_failures + shard.load_failures,
            refused: sum.refused + shard.refused,
            crashed: sum.crashed + shard.crashed,
        });
        SessionStats { resident: self.shared.residents.len(), ..sum }
    }

    /// Figures by shard, and the `most` sessions in memory that took the most messages, busiest first. Looks at every session in
    /// memory, a few milliseconds for 100,000: not for an async thread.
    pub fn look(&self, most: usize) -> (Vec<ShardStats>, Vec<Busy>) {
        let mut shards: Vec<ShardStats> =
            self.shared.shards.iter().map(|c| ShardStats { sessions: c.stats(), waiting: 0 }).collect();
        let mut all: Vec<Arc<Resident>> = Vec::new();
        for (user, resident) in &self.shared.residents.pin() {
            if let Some(shard) = shards.get_mut(self.shared.shard_of(user)) {
                shard.sessions.resident += 1;
                shard.waiting += u64::from(resident.on_their_way());
            }
            all.push(resident.clone());
        }
        let most = most.min(all.len());
        if most < all.len() {
            all.select_nth_unstable_by_key(most, |resident| std::cmp::Reverse(resident.messages()));
            all.truncate(most);
        }
        let now_ms = self.now_ms();
        let busy = |resident: Arc<Resident>| Busy {
            shard: self.shared.shard_of(&resident.user),
            messages: resident.messages(),
            waiting: resident.on_their_way(),
            idle_ms: now_ms.saturating_sub(resident.touched()),
            user: resident.user.clone(),
        };
        let mut busiest: Vec<Busy> = all.into_iter().map(busy).collect();
        busiest.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.user.cmp(&b.user)));
        (shards, busiest)
    }

    /// Whether a person's session is in memory.
    pub fn is_resident(&self, user: &UserId) -> bool {
        self.resident(user).is_some()
    }
}
