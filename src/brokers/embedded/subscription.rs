//! Where events come out of the log.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use foryou_actors::ports::bus::{BusError, Delivery, Partitions, Subscription};
use tokio::sync::oneshot;

use super::{Shared, closed, writer::Job};

/// A consumer; dropping it gives back what it has not settled.
pub struct EmbeddedSubscription {
    shared: Arc<Shared>,
    id: u64,
    credit: usize,
    /// Delivered to this one and not settled.
    outstanding: BTreeSet<u64>,
}

impl EmbeddedSubscription {
    pub fn new(shared: Arc<Shared>, partitions: &Partitions, credit: usize) -> Self {
        let id = shared.queue.lock().subscribe(partitions.iter());
        Self { shared, id, credit, outstanding: BTreeSet::new() }
    }

    /// What may be delivered now; `None` when the bus is closed.
    fn take(&mut self, max: usize) -> Option<Vec<Delivery>> {
        let mut queue = self.shared.queue.lock();
        let room = self.credit.saturating_sub(self.outstanding.len());
        let taken = (!queue.is_closed()).then(|| queue.take(self.id, max.min(room)))?;
        self.outstanding.extend(taken.iter().map(|delivery| delivery.tag));
        Some(taken)
    }

    /// Those of `tags` that were outstanding, which they are no longer.
    fn put_down(&mut self, tags: &[u64]) -> Vec<u64> {
        tags.iter().copied().filter(|tag| self.outstanding.remove(tag)).collect()
    }
}

#[async_trait]
impl Subscription for EmbeddedSubscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let shared = self.shared.clone();
        loop {
            let mut arrived = std::pin::pin!(shared.arrived.notified());
            // From here on, an arrival is noticed even if it comes before the wait.
            arrived.as_mut().enable();
            match self.take(max) {
                Some(taken) if taken.is_empty() && max > 0 => arrived.await,
                Some(taken) => return Ok(taken),
                None => return Ok(Vec::new()),
            }
        }
    }

    async fn hold(&mut self, partition: u16) -> Result<(), BusError> {
        self.shared.queue.lock().hold(self.id, partition);
        self.shared.arrived.notify_waiters();
        Ok(())
    }

    async fn release(&mut self, partition: u16) -> Result<(), BusError> {
        self.shared.queue.lock().release(self.id, partition);
        self.shared.arrived.notify_waiters();
        Ok(())
    }

    async fn ack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        let tags = self.put_down(tags);
        // A failure here is the disk's; the events come again after the next start, and not before.
        self.shared.settle(tags).map_err(|e| BusError::Away(format!("acknowledgements cannot be written: {e}")))
    }

    async fn nack(&mut self, tags: &[u64]) -> Result<(), BusError> {
        let tags = self.put_down(tags);
        self.shared.queue.lock().give_back(tags);
        self.shared.arrived.notify_waiters();
        Ok(())
    }

    async fn quarantine(&mut self, tag: u64, reason: &str) -> Result<(), BusError> {
        if !self.outstanding.contains(&tag) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        if !self.shared.mailbox.send(Job::Quarantine(tag, reason.into(), reply)) {
            return Err(closed());
        }
        answer.await.map_err(|_| closed())??;
        self.outstanding.remove(&tag);
        Ok(())
    }
}

impl Drop for EmbeddedSubscription {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.give_back(std::mem::take(&mut self.outstanding));
        queue.unsubscribe(self.id);
        drop(queue);
        self.shared.arrived.notify_waiters();
    }
}
