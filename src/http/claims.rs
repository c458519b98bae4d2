//! Keeps one event id from being accepted twice, also by requests that carry it at the same time.
//!
//! The store knows an id once its event is applied. Between acceptance and that, these claims know it: an id is claimed while
//! its request is at work, and remembered afterwards for as many events as may wait on the bus.

use std::{
    collections::{HashSet, VecDeque},
    pin::pin,
};

use foryou_schemas::EventId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The ids that are being accepted, or were lately.
#[derive(Debug)]
pub struct Claims {
    ids: Mutex<Ids>,
    released: Notify,
}

#[derive(Debug)]
struct Ids {
    claimed: HashSet<EventId>,
    accepted: HashSet<EventId>,
    /// Accepted ids, oldest first.
    order: VecDeque<EventId>,
    capacity: usize,
}

impl Claims {
    /// Remembers the last `capacity` accepted ids.
    pub fn new(capacity: usize) -> Self {
        let ids = Ids { claimed: HashSet::new(), accepted: HashSet::new(), order: VecDeque::new(), capacity };
        Self { ids: Mutex::new(ids), released: Notify::new() }
    }

    /// Claims all of `ids` at once; waits while another request holds one of them, for it may yet fail.
    pub async fn claim<'a>(&self, ids: impl Iterator<Item = &'a EventId> + Clone) -> Claim<'_> {
        loop {
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            if let Some((mine, is_mine)) = self.ids.lock().take(ids.clone()) {
                return Claim { claims: self, mine, is_mine };
            }
            released.await;
        }
    }
}

impl Ids {
    fn take<'a>(&mut self, ids: impl Iterator<Item = &'a EventId> + Clone) -> Option<(Vec<EventId>, Vec<bool>)> {
        if ids.clone().any(|id| self.claimed.contains(id)) {
            return None;
        }
        let mut mine = Vec::new();
        let is_mine = ids.map(|id| {
            let new = !self.accepted.contains(id) && self.claimed.insert(id.clone());
            if new {
                mine.push(id.clone());
            }
            new
        });
        let is_mine = is_mine.collect();
        Some((mine, is_mine))
    }
}

/// Ids that no other request may accept now. Dropped, they are free again.
#[derive(Debug)]
pub struct Claim<'a> {
    claims: &'a Claims,
    mine: Vec<EventId>,
    is_mine: Vec<bool>,
}

impl Claim<'_> {
    /// For each id that was asked for, whether it is claimed; the others were accepted before, or stand earlier in the list.
    pub fn is_mine(&self) -> &[bool] {
        &self.is_mine
    }

    /// Remembers the claimed ids: their events are accepted, or were before.
    pub fn accept(self) {
        let mut ids = self.claims.ids.lock();
        for id in &self.mine {
            ids.accepted.insert(id.clone());
            ids.order.push_back(id.clone());
        }
        let excess = ids.order.len().saturating_sub(ids.capacity);
        let old: Vec<_> = ids.order.drain(..excess).collect();
        old.iter().for_each(|id| _ = ids.accepted.remove(id));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut ids = self.claims.ids.lock();
        self.mine.iter().for_each(|id| _ = ids.claimed.remove(id));
        drop(ids);
        self.claims.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<EventId> {
        names.iter().map(|name| EventId::new(*name).unwrap()).collect()
    }

    #[tokio::test]
    async fn an_accepted_id_is_not_given_again_and_a_dropped_claim_is() {
        let (claims, list) = (Claims::new(10), ids(&["a", "b", "a"]));
        let claim = claims.claim(list.iter()).await;
        assert_eq!(claim.is_mine(), [true, true, false]);
        drop(claim);
        claims.claim(list[..1].iter()).await.accept();
        assert_eq!(claims.claim(list.iter()).await.is_mine(), [false, true, false]);
    }

    #[tokio::test]
    async fn a_second_claim_waits_for_the_first() {
        let (claims, list) = (Claims::new(10), ids(&["a"]));
        let first = claims.claim(list.iter()).await;
        let second = claims.claim(list.iter());
        let accept = async { first.accept() };
        let (second, ()) = tokio::join!(biased; second, accept);
        assert_eq!(second.is_mine(), [false]);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let (claims, list) = (Claims::new(2), ids(&["a", "b", "c"]));
        for id in &list {
            claims.claim(std::iter::once(id)).await.accept();
        }
        assert_eq!(claims.claim(list.iter()).await.is_mine(), [true, false, false]);
        assert_eq!(claims.ids.lock().accepted.len(), 2);
    }
}
