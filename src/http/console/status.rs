//! How services, and each second's look at the server, are told to the console.

use foryou_actors::services::status::{Probe, ServiceState};
use serde::Serialize;

use super::alarms::Alarm;

/// One second's look.
#[derive(Serialize)]
pub struct Look {
    /// Milliseconds since 1970.
    pub t: i64,
    /// The figures, in the order of `GET /admin/api/start`.
    pub values: Vec<Option<f32>>,
    /// The supervision tree.
    pub services: Vec<Service>,
    /// What is not as it should be.
    pub alarms: Vec<Alarm>,
    /// The release that serves.
    pub release: Option<String>,
}

/// A service as of now.
#[derive(Serialize)]
pub struct Service {
    name: &'static str,
    state: &'static str,
    restarts: u64,
    last_error: Option<String>,
    messages: u64,
    queues: Vec<Queue>,
}

#[derive(Serialize)]
struct Queue {
    name: &'static str,
    depth: usize,
    capacity: usize,
    dropped: u64,
}

impl Service {
    /// Reads a service's figures.
    pub fn of(probe: &Probe) -> Self {
        let queue = |(name, status): (_, foryou_actors::services::status::QueueStatus)| Queue {
            name,
            depth: status.depth,
            capacity: status.capacity,
            dropped: status.dropped,
        };
        Self {
            name: probe.name(),
            state: word(probe.state()),
            restarts: probe.restarts(),
            last_error: probe.last_error(),
            messages: probe.messages(),
            queues: probe.queues().into_iter().map(queue).collect(),
        }
    }
}

fn word(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Starting => "starting",
        ServiceState::Running => "running",
        ServiceState::Restarting => "restarting",
        ServiceState::Failed => "failed",
        ServiceState::Stopping => "stopping",
        ServiceState::Stopped => "stopped",
    }
}
