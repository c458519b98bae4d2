//! The one writer of the log: a thread that gives all events that wait for it one `fdatasync`.

use std::sync::Arc;

use foryou_actors::ports::bus::BusError;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{
    Shared,
    queue::Entry,
    segments::{AppendError, Appender},
};

type Reply = oneshot::Sender<Result<(), BusError>>;

/// What waits for the writer. Its bound is the bus's: room is reserved before anything is sent.
pub enum Job {
    /// Events (partition, payload) of one caller.
    Publish(Vec<(u16, Arc<[u8]>)>, Reply),
    /// A delivery to keep aside, and why.
    Quarantine(u64, String, Reply),
}

/// The writer's mailbox.
#[derive(Default)]
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    stopped: bool,
}

impl Mailbox {
    /// Sends a job; `false` once the writer was told to stop.
    pub fn send(&self, job: Job) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.stopped {
            return false;
        }
        waiting.jobs.push(job);
        self.arrived.notify_one();
        true
    }

    /// Lets the writer finish what was sent, and no more.
    pub fn stop(&self) {
        self.waiting.lock().stopped = true;
        self.arrived.notify_one();
    }

    fn receive(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.stopped {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
        Some(std::mem::take(&mut waiting.jobs))
    }
}

/// The thread: until the mailbox is stopped and empty.
pub fn run(shared: &Shared, mut log: Appender) {
    let mut broken = None;
    while let Some(jobs) = shared.mailbox.receive() {
        let (mut events, mut replies) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Publish(more, reply) => {
                    events.extend(more);
                    replies.push(reply);
                }
                Job::Quarantine(tag, reason, reply) => {
                    let done = shared.keep_aside(tag, reason).map_err(|error| BusError::Away(error.to_string()));
                    // Whoever asked may have gone away meanwhile.
                    let _ = reply.send(done);
                }
            }
        }
        if replies.is_empty() {
            continue;
        }
        let done = publish(shared, &mut log, events, &mut broken);
        for reply in replies {
            let _ = reply.send(done.clone().map_err(BusError::Away));
        }
    }
}

fn publish(
    shared: &Shared,
    log: &mut Appender,
    events: Vec<(u16, Arc<[u8]>)>,
    broken: &mut Option<String>,
) -> Result<(), String> {
    let appended = match broken {
        Some(reason) => Err(reason.clone()),
        None => log
            .append(&shared.segments, events.iter().map(|(partition, payload)| (*partition, &payload[..])))
            .map_err(|error| match error {
                AppendError::Refused(error) => format!("the log cannot be written: {error}"),
                AppendError::Broken(error) => {
                    let reason = format!("the disk failed a write ({error}); see to the disk, then restart foryou");
                    broken.insert(reason).clone()
                }
            }),
    };
    let mut queue = shared.queue.lock();
    queue.unreserve(events.len(), events.iter().map(|(_, payload)| payload.len()).sum());
    let tags = appended?;
    for (tag, (partition, payload)) in tags.zip(events) {
        queue.push(tag, Entry::new(partition, 0, payload));
    }
    drop(queue);
    // The subscriber first: it has work to do, the publishers only an answer to give.
    shared.arrived.notify_waiters();
    Ok(())
}
