//! What is published and not yet settled, in memory: which delivery is next, and who has it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use foryou_actors::ports::bus::Delivery;

/// One event that is durable and not settled.
pub struct Entry {
    pub partition: u16,
    /// How often it was delivered before.
    pub redelivered: u32,
    pub payload: Arc<[u8]>,
}

/// Deliveries in the order of the log, and those that come again.
#[derive(Default)]
pub struct Queue {
    entries: BTreeMap<u64, Entry>,
    /// The first tag that was never handed out.
    fresh: u64,
    /// Handed out before, and given back.
    returned: BTreeSet<u64>,
    /// Subscriptions in the order of their coming; the first one consumes, the others wait to take over.
    subscriptions: VecDeque<u64>,
    next_subscription: u64,
    /// Payload bytes of `entries`.
    bytes: usize,
    /// Events on their way to the disk, and their payload bytes.
    reserved: (usize, usize),
    closed: bool,
}

impl Queue {
    /// Adds an entry; tags grow.
    pub fn push(&mut self, tag: u64, entry: Entry) {
        self.bytes += entry.payload.len();
        self.entries.insert(tag, entry);
    }

    /// Keeps room for events that are not durable yet; `false` where that would make more than `max` (events, bytes).
    pub fn reserve(&mut self, events: usize, bytes: usize, max: (usize, usize)) -> bool {
        let after = (self.reserved.0 + events, self.reserved.1 + bytes);
        let fits = self.entries.len() + after.0 <= max.0 && self.bytes + after.1 <= max.1;
        if fits {
            self.reserved = after;
        }
        fits
    }

    /// Gives reserved room back.
    pub fn release(&mut self, events: usize, bytes: usize) {
        self.reserved = (self.reserved.0 - events, self.reserved.1 - bytes);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first tag that is not settled.
    pub fn first(&self) -> Option<u64> {
        self.entries.keys().next().copied()
    }

    /// No more deliveries: every subscription ends.
    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn subscribe(&mut self) -> u64 {
        self.next_subscription += 1;
        self.subscriptions.push_back(self.next_subscription);
        self.next_subscription
    }

    pub fn unsubscribe(&mut self, subscription: u64) {
        self.subscriptions.retain(|s| *s != subscription);
    }

    /// Up to `max` deliveries, unless another subscription is first: returned ones, then fresh ones.
    pub fn take(&mut self, subscription: u64, max: usize) -> Vec<Delivery> {
        if self.subscriptions.front() != Some(&subscription) {
            return Vec::new();
        }
        let mut out = Vec::new();
        while out.len() < max {
            let Some(tag) = self.returned.pop_first() else { break };
            out.extend(self.entries.get(&tag).map(|entry| delivery(tag, entry)));
        }
        let fresh = self.entries.range(self.fresh..).take(max - out.len());
        out.extend(fresh.map(|(tag, entry)| delivery(*tag, entry)));
        if let Some(last) = out.last() {
            self.fresh = self.fresh.max(last.tag + 1);
        }
        out
    }

    /// Gives deliveries back, to come again.
    pub fn give_back(&mut self, tags: impl IntoIterator<Item = u64>) {
        for tag in tags {
            if let Some(entry) = self.entries.get_mut(&tag) {
                entry.redelivered += 1;
                self.returned.insert(tag);
            }
        }
    }

    /// Forgets a delivery, which does not come again; `false` where it was settled before.
    pub fn settle(&mut self, tag: u64) -> bool {
        let settled = self.entries.remove(&tag);
        self.bytes -= settled.as_ref().map_or(0, |entry| entry.payload.len());
        settled.is_some()
    }

    /// The tags of a partition that are not settled.
    pub fn unsettled(&self, partition: u16) -> Vec<u64> {
        self.entries.iter().filter(|(_, entry)| entry.partition == partition).map(|(tag, _)| *tag).collect()
    }

    pub fn get(&self, tag: u64) -> Option<&Entry> {
        self.entries.get(&tag)
    }
}

fn delivery(tag: u64, entry: &Entry) -> Delivery {
    Delivery { tag, partition: entry.partition, redelivered: entry.redelivered, payload: entry.payload.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(tags: std::ops::Range<u64>) -> Queue {
        let mut queue = Queue::default();
        for tag in tags {
            queue.push(tag, Entry { partition: 0, redelivered: 0, payload: Arc::from(&b"x"[..]) });
        }
        queue
    }

    fn tags(deliveries: &[Delivery]) -> Vec<(u64, u32)> {
        deliveries.iter().map(|d| (d.tag, d.redelivered)).collect()
    }

    #[test]
    fn what_is_given_back_comes_again_before_what_is_fresh() {
        let mut queue = queue_of(1..6);
        let me = queue.subscribe();
        assert_eq!(tags(&queue.take(me, 3)), [(1, 0), (2, 0), (3, 0)]);
        queue.settle(2);
        queue.give_back([3, 2, 1]);
        assert_eq!(tags(&queue.take(me, 3)), [(1, 1), (3, 1), (4, 0)]);
        assert_eq!(tags(&queue.take(me, 3)), [(5, 0)]);
        assert!(queue.take(me, 3).is_empty());
        assert_eq!((queue.len(), queue.first()), (4, Some(1)));
    }

    #[test]
    fn room_is_bounded_in_events_and_in_bytes() {
        let mut queue = queue_of(1..4);
        assert!(!queue.reserve(8, 8, (10, 100)));
        assert!(!queue.reserve(2, 98, (10, 100)));
        assert!(queue.reserve(7, 97, (10, 100)));
        assert!(!queue.reserve(1, 0, (10, 100)));
        queue.release(7, 97);
        queue.settle(1);
        assert!(queue.reserve(8, 98, (10, 100)));
    }

    #[test]
    fn one_subscription_consumes_and_the_next_takes_over() {
        let mut queue = queue_of(1..4);
        let (first, second) = (queue.subscribe(), queue.subscribe());
        assert!(queue.take(second, 1).is_empty());
        assert_eq!(tags(&queue.take(first, 1)), [(1, 0)]);
        queue.unsubscribe(first);
        queue.give_back([1]);
        assert_eq!(tags(&queue.take(second, 9)), [(1, 1), (2, 0), (3, 0)]);
    }
}
