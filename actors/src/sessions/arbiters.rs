//! The threads that run session actors: an actix system of their own, so that sessions work under any runtime.

use std::{io, sync::Arc, thread};

use actix::{Arbiter, ArbiterHandle, System};
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(super) struct Arbiters {
    handles: Arc<[ArbiterHandle]>,
    ending: Mutex<Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>>,
}

impl Arbiters {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (started, answer) = std::sync::mpsc::channel();
        let (end, asked_to_end) = oneshot::channel();
        let thread = thread::Builder::new().name("sessions".into()).spawn(move || {
            let system = System::new();
            let arbiters: io::Result<Vec<Arbiter>> =
                system.block_on(async { (0..count).map(|_| Arbiter::try_new()).collect() });
            match arbiters {
                Ok(arbiters) => {
                    let handles: Arc<[ArbiterHandle]> = arbiters.iter().map(Arbiter::handle).collect();
                    let _gone = started.send(Ok(handles));
                    // Ends, too, when the last handle of the sessions is dropped.
                    let _dropped = system.block_on(asked_to_end);
                    for arbiter in arbiters {
                        arbiter.stop();
                        let _panicked = arbiter.join();
                    }
                }
                Err(error) => {
                    let _gone = started.send(Err(error));
                }
            }
        })?;
        let handles = answer.recv().map_err(io::Error::other)??;
        Ok(Self { handles, ending: Mutex::new(Some((end, thread))) })
    }

    pub(super) fn handles(&self) -> Arc<[ArbiterHandle]> {
        self.handles.clone()
    }

    /// Ends the threads and waits for them. What runs on them is dropped.
    pub(super) async fn stop(&self) {
        let Some((end, thread)) = self.ending.lock().take() else { return };
        drop(end);
        let _panicked = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}
