//! A bounded queue that outlives the service that reads it.
//!
//! A ractor mailbox is unbounded and dies with its actor. Here the queue belongs to the handle, so a restart loses nothing that
//! still waits, and a full queue is felt by who fills it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::{Mutex, mpsc};

use super::{
    status::{QueueGauge, QueueStatus},
    supervisor::Stop,
};

/// The service was stopped and takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopped")]
pub struct Closed;

/// Where messages go in. Cloned freely.
pub struct Sender<M> {
    messages: mpsc::Sender<M>,
    dropped: Arc<AtomicU64>,
}

/// Where a service takes messages out. Clones read the same queue; the next incarnation goes on where the last one was.
pub struct Receiver<M>(Arc<Mutex<mpsc::Receiver<M>>>);

/// A queue for at most `capacity` messages.
pub fn bounded<M: Send + 'static>(capacity: usize) -> (Sender<M>, Receiver<M>) {
    let (messages, receiver) = mpsc::channel(capacity.max(1));
    (Sender { messages, dropped: Arc::default() }, Receiver(Arc::new(Mutex::new(receiver))))
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), dropped: self.dropped.clone() }
    }
}

impl<M> Clone for Receiver<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> Sender<M> {
    /// Puts a message in; waits while the queue is full.
    pub async fn send(&self, message: M) -> Result<(), Closed> {
        self.messages.send(message).await.map_err(|_| Closed)
    }

    /// Puts a message in, or drops and counts it where the queue is full.
    pub fn offer(&self, message: M) -> bool {
        let taken = self.messages.try_send(message).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Relaxed);
        }
        taken
    }

    /// For [`super::supervisor::ServiceSpec::queue`].
    pub fn gauge(&self) -> QueueGauge {
        let this = self.clone();
        Arc::new(move || {
            let capacity = this.messages.max_capacity();
            let depth = capacity - this.messages.capacity();
            QueueStatus { depth, capacity, dropped: this.dropped.load(Relaxed) }
        })
    }
}

impl<M> Receiver<M> {
    /// The next message. Once the service is asked to stop, the queue takes no more, what waits comes out, and then `None`.
    pub async fn next(&self, stop: &Stop) -> Option<M> {
        let mut messages = self.0.lock().await;
        if !stop.is_requested() {
            tokio::select! {
                message = messages.recv() => return message,
                () = stop.requested() => {}
            }
        }
        messages.close();
        messages.recv().await
    }

    /// A message that waits already.
    pub async fn try_next(&self) -> Option<M> {
        self.0.lock().await.try_recv().ok()
    }
}
