//! Who waits until everything before a certain point of a partition is settled.
//!
//! A barrier is a message through the partition's own queue. This process knows it by its id when it comes back; any other
//! process that meets it passes it by.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foryou_actors::ports::bus::BusError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

/// The barriers of a process that did not come back yet.
pub struct Barriers {
    process: String,
    raised: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
}

/// By id: the partition, and whom to tell.
type Waiting = HashMap<String, (u16, oneshot::Sender<()>)>;

impl Default for Barriers {
    fn default() -> Self {
        Self { process: Uuid::now_v7().to_string(), raised: AtomicU64::new(0), waiting: Arc::default() }
    }
}

/// Waits for a barrier, and forgets it when dropped.
pub struct Told {
    id: String,
    passed: oneshot::Receiver<()>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Barriers {
    /// A new barrier: its id, and what waits for it.
    pub fn raise(&self, partition: u16) -> (String, Told) {
        let id = format!("{}/{}", self.process, self.raised.fetch_add(1, Ordering::Relaxed));
        let (tell, passed) = oneshot::channel();
        self.waiting.lock().insert(id.clone(), (partition, tell));
        (id.clone(), Told { id, passed, waiting: self.waiting.clone() })
    }

    /// It came back: whom to tell, where it is ours and somebody waits.
    pub fn take(&self, id: &str) -> Option<oneshot::Sender<()>> {
        self.waiting.lock().remove(id).map(|(_, tell)| tell)
    }

    /// A partition went to another node, where the barriers in it come out.
    pub fn moved(&self, partition: u16) {
        self.waiting.lock().retain(|_, (of, _)| *of != partition);
    }
}

impl Told {
    /// Waits until everything before the barrier is settled.
    pub async fn wait(mut self) -> Result<(), BusError> {
        let gone = "the person's partition went to another node, or its consumer was lost; ask again";
        (&mut self.passed).await.map_err(|_| BusError::Away(gone.into()))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.id);
    }
}
