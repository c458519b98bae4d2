//! What a subscription has of one queue: which deliveries are open, how they are acknowledged with few messages, and who waits for
//! them to be settled. No input or output.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use tokio::sync::oneshot;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message {
    /// How often it was delivered before.
    pub redelivered: u32,
    pub payload: Vec<u8>,
}

impl Message {
    /// By which it is known when it comes again, under another tag.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.payload.hash(&mut hasher);
        hasher.finish()
    }
}

/// Somebody who waits for what was delivered before.
#[derive(Debug)]
struct Barrier {
    /// How many messages of each fingerprint are not settled.
    before: HashMap<u64, u32>,
    passed: oneshot::Sender<()>,
}

impl Barrier {
    fn settle(&mut self, fingerprint: u64) {
        if let Some(count) = self.before.get_mut(&fingerprint) {
            *count -= 1;
            if *count == 0 {
                self.before.remove(&fingerprint);
            }
        }
    }
}

/// The deliveries of one consumer of one queue, by the tags of its channel.
#[derive(Debug)]
pub struct Hand {
    /// Delivered and not settled; those that were not handed out yet have the highest tags.
    open: BTreeMap<u64, Message>,
    /// Given back and not delivered again, by fingerprint.
    given_back: HashMap<u64, u32>,
    barriers: Vec<Barrier>,
    /// After so many deliveries the broker itself puts a message aside.
    delivery_limit: u32,
}

/// How to acknowledge some deliveries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acks {
    /// This one and all before it.
    pub up_to: Option<u64>,
    pub single: Vec<u64>,
}

impl Hand {
    pub fn new(delivery_limit: u32) -> Self {
        Self { open: BTreeMap::new(), given_back: HashMap::new(), barriers: Vec::new(), delivery_limit }
    }

    /// A message came.
    pub fn arrived(&mut self, tag: u64, message: Message) {
        if message.redelivered > 0 && !self.given_back.is_empty() {
            take_one(&mut self.given_back, message.fingerprint());
        }
        self.open.insert(tag, message);
    }

    pub fn get(&self, tag: u64) -> Option<&Message> {
        self.open.get(&tag)
    }

    /// Somebody waits for everything that came so far. Told at once where nothing is open.
    pub fn barrier(&mut self, passed: oneshot::Sender<()>) {
        let mut before = self.given_back.clone();
        for message in self.open.values() {
            *before.entry(message.fingerprint()).or_default() += 1;
        }
        self.barriers.push(Barrier { before, passed });
        self.tell();
    }

    /// Nobody will be told any more: the messages go to another consumer.
    pub fn drop_barriers(&mut self) {
        self.barriers.clear();
    }

    /// Settles deliveries of which `handed_out` says that the consumer has them.
    pub fn settle(&mut self, tags: &[u64]) -> Acks {
        let mut single: Vec<u64> = tags.iter().copied().filter(|tag| self.forget(*tag)).collect();
        self.tell();
        single.sort_unstable();
        // Below the first that stays open, one acknowledgement does for all.
        let first_open = self.open.keys().next().copied().unwrap_or(u64::MAX);
        let below = single.partition_point(|tag| *tag < first_open);
        let up_to = single.drain(..below).next_back();
        Acks { up_to, single }
    }

    /// Gives deliveries back; `tags` come again, but for those that were delivered too often.
    pub fn give_back(&mut self, tags: &[u64]) -> Vec<u64> {
        let mut known = Vec::with_capacity(tags.len());
        for tag in tags {
            let Some(message) = self.open.get(tag) else { continue };
            known.push(*tag);
            if message.redelivered < self.delivery_limit {
                let fingerprint = message.fingerprint();
                self.open.remove(tag);
                *self.given_back.entry(fingerprint).or_default() += 1;
            } else {
                self.forget(*tag);
            }
        }
        self.tell();
        known.sort_unstable();
        known
    }

    fn forget(&mut self, tag: u64) -> bool {
        let Some(message) = self.open.remove(&tag) else { return false };
        if !self.barriers.is_empty() {
            let fingerprint = message.fingerprint();
            self.barriers.iter_mut().for_each(|barrier| barrier.settle(fingerprint));
        }
        true
    }

    fn tell(&mut self) {
        for passed in self.barriers.extract_if(.., |barrier| barrier.before.is_empty()) {
            // Whoever asked may have gone away.
            let _ = passed.passed.send(());
        }
    }
}

fn take_one(counts: &mut HashMap<u64, u32>, key: u64) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand_of(tags: std::ops::RangeInclusive<u64>) -> Hand {
        let mut hand = Hand::new(3);
        tags.for_each(|tag| hand.arrived(tag, message(tag, 0)));
        hand
    }

    fn message(n: u64, redelivered: u32) -> Message {
        Message { redelivered, payload: n.to_string().into_bytes() }
    }

    fn wait(hand: &mut Hand) -> oneshot::Receiver<()> {
        let (passed, told) = oneshot::channel();
        hand.barrier(passed);
        told
    }

    #[test]
    fn one_acknowledgement_does_for_all_below_the_first_open_one() {
        let mut hand = hand_of(1..=9);
        assert_eq!(hand.settle(&[5, 2, 1]), Acks { up_to: Some(2), single: vec![5] });
        assert_eq!(hand.settle(&[3, 4, 7, 1]), Acks { up_to: Some(4), single: vec![7] });
        assert_eq!(hand.settle(&[8]), Acks { up_to: None, single: vec![8] });
        assert_eq!(hand.give_back(&[6, 3]), [6]);
        assert_eq!(hand.settle(&[9]), Acks { up_to: Some(9), single: vec![] });
    }

    #[test]
    fn a_barrier_waits_for_what_was_given_back() {
        let mut hand = hand_of(1..=3);
        let mut told = wait(&mut hand);
        hand.arrived(4, message(4, 0));
        hand.settle(&[1]);
        hand.give_back(&[2]);
        hand.settle(&[3, 4]);
        assert!(told.try_recv().is_err());
        hand.arrived(5, message(2, 1));
        let mut also = wait(&mut hand);
        hand.settle(&[5]);
        assert!(told.try_recv().is_ok() && also.try_recv().is_ok());
        assert!(wait(&mut hand).try_recv().is_ok(), "nothing is open");
    }

    #[test]
    fn a_barrier_does_not_wait_for_what_the_broker_puts_aside() {
        let mut hand = Hand::new(3);
        hand.arrived(1, message(1, 3));
        let mut told = wait(&mut hand);
        hand.give_back(&[1]);
        assert!(told.try_recv().is_ok());
    }
}
