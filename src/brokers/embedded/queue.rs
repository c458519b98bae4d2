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
    /// Delivered, and neither settled nor given back.
    in_hand: bool,
}

impl Entry {
    pub fn new(partition: u16, redelivered: u32, payload: Arc<[u8]>) -> Self {
        Self { partition, redelivered, payload, in_hand: false }
    }
}

/// Who consumes a partition, and what waits in it.
#[derive(Default)]
struct Partition {
    /// The subscription that has it.
    holder: Option<u64>,
    /// The holder lets it go as soon as nothing of it is in hand.
    releasing: bool,
    /// Those that take over, in the order of their coming.
    waiting: VecDeque<u64>,
    in_hand: usize,
    /// Given back, or passed over while nobody held the partition.
    left: BTreeSet<u64>,
}

impl Partition {
    fn is_open_to(&self, subscription: u64) -> bool {
        self.holder == Some(subscription) && !self.releasing
    }

    /// Hands over to who waits, where the holder is done.
    fn hand_over(&mut self) {
        if self.in_hand == 0 && (self.releasing || self.holder.is_none()) {
            self.holder = self.waiting.pop_front();
            self.releasing = false;
        }
    }

    /// Something in hand is settled or given back.
    fn put_down(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.hand_over();
    }
}

/// Deliveries in the order of the log, and those that come again.
#[derive(Default)]
pub struct Queue {
    entries: BTreeMap<u64, Entry>,
    /// The first tag at which nobody has looked.
    fresh: u64,
    partitions: Vec<Partition>,
    last_subscription: u64,
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
        self.partition(entry.partition);
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
    pub fn unreserve(&mut self, events: usize, bytes: usize) {
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

    pub fn subscribe(&mut self, partitions: impl IntoIterator<Item = u16>) -> u64 {
        self.last_subscription += 1;
        let subscription = self.last_subscription;
        partitions.into_iter().for_each(|partition| self.hold(subscription, partition));
        subscription
    }

    /// Ends a subscription that has given back what it had.
    pub fn unsubscribe(&mut self, subscription: u64) {
        for partition in 0..self.partitions.len() {
            self.release(subscription, partition as u16);
        }
    }

    /// Gives a partition to a subscription: now, or when who has it is done with it.
    pub fn hold(&mut self, subscription: u64, partition: u16) {
        let partition = self.partition(partition);
        if !partition.is_open_to(subscription) && !partition.waiting.contains(&subscription) {
            partition.waiting.push_back(subscription);
            partition.hand_over();
        }
    }

    /// Takes a partition away from a subscription, which may still have deliveries of it in hand.
    pub fn release(&mut self, subscription: u64, partition: u16) {
        let partition = self.partition(partition);
        partition.waiting.retain(|waiting| *waiting != subscription);
        partition.releasing |= partition.holder == Some(subscription);
        partition.hand_over();
    }

    /// Up to `max` deliveries of what the subscription holds: those that were left, then fresh ones.
    pub fn take(&mut self, subscription: u64, max: usize) -> Vec<Delivery> {
        let open = self.partitions.iter().filter(|partition| partition.is_open_to(subscription));
        let mut tags: Vec<u64> = open.flat_map(|partition| partition.left.iter().take(max)).copied().collect();
        tags.sort_unstable();
        tags.truncate(max);
        for (tag, entry) in self.entries.range(self.fresh..) {
            if tags.len() >= max {
                break;
            }
            self.fresh = tag + 1;
            let Some(partition) = self.partitions.get_mut(usize::from(entry.partition)) else { continue };
            if partition.is_open_to(subscription) {
                tags.push(*tag);
            } else {
                partition.left.insert(*tag);
            }
        }
        tags.into_iter().filter_map(|tag| self.deliver(tag)).collect()
    }

    fn deliver(&mut self, tag: u64) -> Option<Delivery> {
        let entry = self.entries.get_mut(&tag)?;
        entry.in_hand = true;
        let delivery = Delivery {
            tag,
            partition: entry.partition,
            redelivered: entry.redelivered,
            payload: entry.payload.to_vec(),
        };
        let partition = self.partition(delivery.partition);
        partition.left.remove(&tag);
        partition.in_hand += 1;
        Some(delivery)
    }

    /// Takes deliveries back that are in hand, to come again.
    pub fn give_back(&mut self, tags: impl IntoIterator<Item = u64>) {
        for tag in tags {
            if let Some(entry) = self.entries.get_mut(&tag).filter(|entry| entry.in_hand) {
                entry.redelivered += 1;
                entry.in_hand = false;
                let partition = entry.partition;
                let partition = self.partition(partition);
                partition.left.insert(tag);
                partition.put_down();
            }
        }
    }

    /// Forgets a delivery, which does not come again; `false` where it was settled before.
    pub fn settle(&mut self, tag: u64) -> bool {
        let Some(entry) = self.entries.remove(&tag) else { return false };
        self.bytes -= entry.payload.len();
        let partition = self.partition(entry.partition);
        partition.left.remove(&tag);
        if entry.in_hand {
            partition.put_down();
        }
        true
    }

    /// The tags of a partition that are not settled.
    pub fn unsettled(&self, partition: u16) -> Vec<u64> {
        self.entries.iter().filter(|(_, entry)| entry.partition == partition).map(|(tag, _)| *tag).collect()
    }

    pub fn get(&self, tag: u64) -> Option<&Entry> {
        self.entries.get(&tag)
    }

    fn partition(&mut self, partition: u16) -> &mut Partition {
        let index = usize::from(partition);
        if index >= self.partitions.len() {
            self.partitions.resize_with(index + 1, Partition::default);
        }
        &mut self.partitions[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(tags: std::ops::Range<u64>) -> Queue {
        let mut queue = Queue::default();
        for tag in tags {
            queue.push(tag, Entry::new((tag % 2) as u16, 0, Arc::from(&b"x"[..])));
        }
        queue
    }

    fn tags(deliveries: &[Delivery]) -> Vec<(u64, u32)> {
        deliveries.iter().map(|d| (d.tag, d.redelivered)).collect()
    }

    #[test]
    fn what_is_given_back_comes_again_before_what_is_fresh() {
        let mut queue = queue_of(1..6);
        let me = queue.subscribe([0, 1]);
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
        queue.unreserve(7, 97);
        queue.settle(1);
        assert!(queue.reserve(8, 98, (10, 100)));
    }

    #[test]
    fn one_subscription_consumes_and_the_next_takes_over() {
        let mut queue = queue_of(1..4);
        let (first, second) = (queue.subscribe([0, 1]), queue.subscribe([0, 1]));
        assert!(queue.take(second, 1).is_empty());
        assert_eq!(tags(&queue.take(first, 1)), [(1, 0)]);
        queue.give_back([1]);
        queue.unsubscribe(first);
        assert_eq!(tags(&queue.take(second, 9)), [(1, 1), (2, 0), (3, 0)]);
    }

    #[test]
    fn a_partition_changes_hands_when_nothing_of_it_is_in_hand() {
        let mut queue = queue_of(1..9);
        let (first, second) = (queue.subscribe([0, 1]), queue.subscribe([]));
        assert_eq!(tags(&queue.take(first, 4)), [(1, 0), (2, 0), (3, 0), (4, 0)]);
        queue.release(first, 1);
        queue.hold(second, 1);
        assert_eq!(tags(&queue.take(first, 1)), [(6, 0)], "and 5 is passed over");
        assert!(queue.take(second, 9).is_empty());
        queue.give_back([3]);
        queue.hold(first, 1);
        assert!(queue.take(first, 0).is_empty() && queue.take(second, 9).is_empty());
        queue.settle(1);
        assert_eq!(tags(&queue.take(second, 9)), [(3, 1), (5, 0), (7, 0)]);
        assert_eq!(tags(&queue.take(first, 9)), [(8, 0)]);
        queue.give_back([3, 5, 7]);
        queue.unsubscribe(second);
        assert_eq!(tags(&queue.take(first, 9)), [(3, 2), (5, 1), (7, 1)]);
        // What nobody has in hand cannot be put down.
        queue.settle(8);
        queue.give_back([8, 1]);
        assert_eq!(queue.len(), 6);
    }
}
