//! What is applied in memory and not yet durable, as one number that grows.
//!
//! Ingest draws a ticket for each group of events before it applies them; the writer completes it when they are durable. A
//! session remembers its latest ticket, and neither sleeps nor is erased before that one is complete.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::watch;

/// Drawn and completed tickets, both from 1 upwards.
pub struct Tickets {
    drawn: AtomicU64,
    durable: watch::Sender<u64>,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { drawn: AtomicU64::new(0), durable: watch::Sender::new(0) }
    }
}

impl Tickets {
    /// A new ticket.
    pub fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, SeqCst) + 1
    }

    /// The latest ticket that was drawn: with [`Tickets::reached`] a way to wait for all that is applied now.
    pub fn drawn(&self) -> u64 {
        self.drawn.load(SeqCst)
    }

    /// Says that everything up to `ticket` is durable.
    pub fn complete(&self, ticket: u64) {
        self.durable.send_if_modified(|durable| {
            let grows = ticket > *durable;
            *durable = ticket.max(*durable);
            grows
        });
    }

    /// Completes every ticket that was drawn: after ingest has failed, when the writer is flushed and what was not handed over
    /// is discarded.
    pub fn complete_all(&self) {
        self.complete(self.drawn.load(SeqCst));
    }

    /// Everything up to this ticket is durable.
    pub fn durable(&self) -> u64 {
        *self.durable.borrow()
    }

    /// Waits until everything up to `ticket` is durable.
    pub async fn reached(&self, ticket: u64) {
        let mut changes = self.durable.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _reached = changes.wait_for(|durable| *durable >= ticket).await;
    }

    /// Follows [`Tickets::durable`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }
}
