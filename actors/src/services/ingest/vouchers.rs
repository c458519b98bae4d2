//! What this node's edge learnt from the store, so that ingest need not ask again.
//!
//! The edge asks which events are known in order to answer `duplicate`; ingest asks once more, because only it can tell for
//! sure. Where one node does both, the second question is a round to the store for an answer that is at hand. A voucher says: the
//! store did not have this event after this node began to hold its person's partition, and nothing delivered it since. As a
//! partition's holder is the only one who writes events of its people, and forgets the voucher with the first delivery, the
//! event is still new. A voucher is void as soon as the partition changes hands.
//!
//! The edge may publish an event while it asks. Ingest then waits for the answer that is under way.

use std::{collections::HashMap, pin::pin};

use foryou_schemas::EventId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most ids that are under way between edge and ingest. Beyond it all are forgotten, those that were never published among
/// them; then ingest asks the store.
const KEPT: usize = 65_536;

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The store is being asked.
    Asked,
    /// The store did not have it.
    Unknown,
}

/// Ids that are on their way from the edge to ingest.
#[derive(Default)]
pub(super) struct Vouchers {
    kept: Mutex<HashMap<EventId, State>>,
    /// Something is not being asked about any more.
    answered: Notify,
}

impl Vouchers {
    /// Before the store is asked about these.
    pub(super) fn ask<'a>(&self, ids: impl Iterator<Item = &'a EventId>) -> Asking<'_> {
        let asked: Vec<_> = ids.cloned().collect();
        let mut kept = self.kept.lock();
        if kept.len() + asked.len() > KEPT {
            kept.clear();
            self.answered.notify_waiters();
        }
        kept.extend(asked.iter().map(|id| (id.clone(), State::Asked)));
        Asking { vouchers: self, asked }
    }

    /// Waits while the store is being asked about one of these. Who asks gives up after a while.
    pub(super) async fn answers<'a>(&self, ids: impl Iterator<Item = &'a EventId> + Clone) {
        loop {
            let mut answered = pin!(self.answered.notified());
            answered.as_mut().enable();
            let is_asked = {
                let kept = self.kept.lock();
                ids.clone().any(|id| kept.get(id) == Some(&State::Asked))
            };
            if !is_asked {
                return;
            }
            answered.await;
        }
    }

    /// Whether the first delivery of an event needs no look at the store. Every delivery uses its voucher up.
    pub(super) fn redeem(&self, id: &EventId) -> bool {
        self.kept.lock().remove(id) == Some(State::Unknown)
    }

    /// These are durable now.
    pub(super) fn forget(&self, ids: &[EventId]) {
        let mut kept = self.kept.lock();
        ids.iter().for_each(|id| _ = kept.remove(id));
        self.answered.notify_waiters();
    }

    /// What this node holds has changed.
    pub(super) fn void(&self) {
        self.kept.lock().clear();
        self.answered.notify_waiters();
    }
}

/// A question to the store. Dropped without an answer, it leaves nothing behind.
pub(super) struct Asking<'a> {
    vouchers: &'a Vouchers,
    asked: Vec<EventId>,
}

impl Asking<'_> {
    /// What the store answered. An id that was delivered, forgotten or void meanwhile gets no voucher; returns those: if the
    /// store has one of them, it may be for the very delivery that the question was about.
    pub(super) fn answered(mut self, is_unknown: impl Fn(&EventId) -> bool) -> Vec<EventId> {
        let mut late = Vec::new();
        let mut kept = self.vouchers.kept.lock();
        for id in std::mem::take(&mut self.asked) {
            let asked = kept.get_mut(&id).filter(|state| **state == State::Asked);
            match asked {
                Some(state) if is_unknown(&id) => *state = State::Unknown,
                Some(_) => _ = kept.remove(&id),
                None => late.push(id),
            }
        }
        self.vouchers.answered.notify_waiters();
        late
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let mut kept = self.vouchers.kept.lock();
        for id in &self.asked {
            if kept.get(id) == Some(&State::Asked) {
                kept.remove(id);
            }
        }
        self.vouchers.answered.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EventId {
        EventId::new(text).unwrap()
    }

    #[test]
    fn a_voucher_is_good_once() {
        let (vouchers, e) = (Vouchers::default(), id("e"));
        assert!(!vouchers.redeem(&e));
        vouchers.ask([&e].into_iter()).answered(|_| true);
        assert!(vouchers.redeem(&e) && !vouchers.redeem(&e));
        vouchers.ask([&e].into_iter()).answered(|_| false);
        assert!(!vouchers.redeem(&e));
    }

    #[test]
    fn what_was_delivered_stored_or_handed_over_while_the_store_was_asked_is_not_vouched_for() {
        let (vouchers, e) = (Vouchers::default(), id("e"));
        let meanwhile: [&dyn Fn(); 3] =
            [&|| _ = vouchers.redeem(&e), &|| vouchers.forget(std::slice::from_ref(&e)), &|| vouchers.void()];
        for happens in meanwhile {
            let asking = vouchers.ask([&e].into_iter());
            happens();
            assert_eq!(asking.answered(|_| true), std::slice::from_ref(&e));
            assert!(!vouchers.redeem(&e));
        }
        for happens in meanwhile {
            assert!(vouchers.ask([&e].into_iter()).answered(|_| true).is_empty());
            happens();
            assert!(!vouchers.redeem(&e));
        }
    }

    #[tokio::test]
    async fn who_waits_for_answers_waits_for_those_under_way_and_no_longer() {
        let (vouchers, asked, other) = (Vouchers::default(), id("asked"), id("other"));
        let ends: [&dyn Fn(Asking<'_>); 4] = [
            &|asking| _ = asking.answered(|_| true),
            &|asking| drop(asking),
            &|asking| {
                vouchers.void();
                drop(asking);
            },
            &|asking| {
                vouchers.forget(std::slice::from_ref(&asked));
                drop(asking);
            },
        ];
        for end in ends {
            let asking = vouchers.ask([&asked].into_iter());
            vouchers.answers([&other].into_iter()).await;
            let mut waiting = std::pin::pin!(vouchers.answers([&other, &asked].into_iter()));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            end(asking);
            waiting.await;
        }
    }

    #[test]
    fn a_question_without_an_answer_leaves_nothing_and_what_is_kept_has_a_bound() {
        let vouchers = Vouchers::default();
        drop(vouchers.ask([&id("e")].into_iter()));
        assert!(vouchers.kept.lock().is_empty());
        let many: Vec<_> = (0..KEPT).map(|n| id(&n.to_string())).collect();
        vouchers.ask(many.iter()).answered(|_| true);
        assert_eq!(vouchers.kept.lock().len(), KEPT);
        vouchers.ask([&id("e")].into_iter()).answered(|_| true);
        assert_eq!(vouchers.kept.lock().len(), 1);
        assert!(vouchers.redeem(&id("e")));
    }
}
