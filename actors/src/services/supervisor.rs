//! The root of the services: starts them, starts them again when they fail, and stops them in order.
//!
//! A service is a `run` loop in a ractor actor that is linked to the root. Its queues and its figures live outside the actor,
//! in a handle that callers keep, so nobody ever holds an `ActorRef` and a restart is invisible. A service that fails more
//! often than its budget allows stays down: its state says so, readiness goes red, the others go on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use ractor::{
    Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent,
    concurrency::{Instant, JoinHandle},
};
use tokio::sync::{oneshot, watch};

use super::status::{Probe, QueueGauge, ServiceState, ServiceStatus};

/// What a service may end with; the supervisor logs it and starts the service again.
pub type ServiceError = Box<dyn std::error::Error + Send + Sync>;

/// A long-lived worker.
#[async_trait]
pub trait Service: Send + 'static {
    /// Works until [`Stop`] is requested, then finishes what it took on and returns. An error or a panic before that restarts
    /// the service from its factory.
    async fn run(&mut self, context: Context) -> Result<(), ServiceError>;
}

/// What a running service knows of its surroundings.
#[derive(Clone)]
pub struct Context {
    /// Says when to stop.
    pub stop: Stop,
    /// Where to count.
    pub probe: Probe,
}

impl Context {
    /// Tells that the service does its work from now on.
    pub fn ready(&self) {
        if self.probe.state() != ServiceState::Stopping {
            self.probe.set_state(ServiceState::Running);
        }
    }
}

/// Tells a service when it should come to an end.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Whether it should.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it should (or its supervisor is gone).
    pub async fn requested(&self) {
        let mut asked = self.0.clone();
        let _gone = asked.wait_for(|stop| *stop).await;
    }

    /// Sleeps, but not past a request to stop. Returns whether the service should go on.
    pub async fn pause(&self, length: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(length) => true,
            () = self.requested() => false,
        }
    }
}

/// A service by name, and how to make one.
pub struct ServiceSpec {
    name: &'static str,
    make: Box<dyn FnMut() -> Box<dyn Service> + Send>,
    queues: Vec<(&'static str, QueueGauge)>,
}

impl ServiceSpec {
    /// Declares a service. `make` is called for each incarnation; what must outlive one belongs into what `make` captures.
    pub fn new<S: Service>(name: &'static str, mut make: impl FnMut() -> S + Send + 'static) -> Self {
        Self { name, make: Box::new(move || Box::new(make())), queues: Vec::new() }
    }

    /// Shows a queue in the service's status.
    pub fn queue(mut self, name: &'static str, gauge: QueueGauge) -> Self {
        self.queues.push((name, gauge));
        self
    }
}

/// When a failed service is started again.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    /// The most restarts within `window`; one more and the service stays down.
    pub budget: usize,
    /// The time over which restarts count.
    pub window: Duration,
    /// The pause before the first restart; it doubles with each restart within `window`.
    pub first_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            budget: 8,
            window: Duration::from_secs(60),
            first_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
        }
    }
}

impl RestartPolicy {
    /// The pause before the `nth` restart within the window, counted from 1.
    fn backoff(&self, nth: usize) -> Duration {
        let doublings = u32::try_from(nth.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        self.first_backoff.saturating_mul(1 << doublings).min(self.max_backoff)
    }
}

/// The supervisor could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the services could not be started: {0}")]
pub struct SupervisorError(String);

/// The running services.
pub struct Supervisor {
    root: ActorRef<Message>,
    running: Mutex<Option<JoinHandle<()>>>,
    probes: Arc<[Probe]>,
}

impl Supervisor {
    /// Starts services in the order given. They become ready by themselves: see [`Supervisor::ready`].
    pub async fn start(policy: RestartPolicy, services: Vec<ServiceSpec>) -> Result<Self, SupervisorError> {
        let probes: Arc<[Probe]> = services.iter().map(|s| Probe::new(s.name, s.queues.clone())).collect();
        let children = services
            .into_iter()
            .zip(probes.iter())
            .map(|(spec, probe)| Child {
                make: spec.make,
                probe: probe.clone(),
                stop: watch::Sender::new(false),
                cell: None,
                restarts: VecDeque::new(),
                backoff: None,
                asked: false,
            })
            .collect();
        // No names: ractor's are global to the process.
        let (root, running) =
            Actor::spawn(None, Root { policy }, children).await.map_err(|error| SupervisorError(error.to_string()))?;
        Ok(Self { root, running: Mutex::new(Some(running)), probes })
    }

    /// Every service, in the order of their start.
    pub fn status(&self) -> Vec<ServiceStatus> {
        self.probes.iter().map(Probe::status).collect()
    }

    /// The figures of one service.
    pub fn probe(&self, name: &str) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.name() == name)
    }

    /// Every service's figures, in the order of their start.
    pub fn probes(&self) -> &Arc<[Probe]> {
        &self.probes
    }

    /// Ends a service where it stands and starts it again at once, as after a failure: what it had not finished is done again by
    /// the next incarnation. Its budget of restarts begins anew, so this also brings back one that stays down. `false`: there is
    /// no such service, or the services are stopping.
    pub fn restart(&self, name: &str) -> bool {
        let index = self.probes.iter().position(|probe| probe.name() == name);
        index.is_some_and(|index| self.root.send_message(Message::Restart(index)).is_ok())
    }

    /// What keeps the services from being ready: one line each.
    pub fn unready(&self) -> Vec<String> {
        let states = self.probes.iter().map(Probe::status).filter(|s| s.state != ServiceState::Running);
        states
            .map(|s| format!("{}: {:?}{}", s.name, s.state, s.last_error.map_or(String::new(), |e| format!(" ({e})"))))
            .collect()
    }

    /// Waits until every service runs, or one has failed for good. Returns whether all run.
    pub async fn ready(&self) -> bool {
        for probe in self.probes.iter() {
            let state = probe.until(|s| !matches!(s, ServiceState::Starting | ServiceState::Restarting)).await;
            if state != ServiceState::Running {
                return false;
            }
        }
        true
    }

    /// Stops the services, the last one first, so that each may use those before it while it drains. What is not done within
    /// `deadline` is killed. Returns the names of the killed.
    pub async fn stop(&self, deadline: Duration) -> Vec<&'static str> {
        let (reply, killed) = oneshot::channel();
        let asked = self.root.send_message(Message::Stop { deadline: Instant::now() + deadline, reply });
        let killed = match asked {
            Ok(()) => killed.await.unwrap_or_default(),
            Err(_stopped_before) => Vec::new(),
        };
        let running = self.running.lock().take();
        if let Some(running) = running {
            let _panicked = running.await;
        }
        killed
    }
}

enum Message {
    Start(usize),
    Restart(usize),
    Stop { deadline: Instant, reply: oneshot::Sender<Vec<&'static str>> },
}

struct Root {
    policy: RestartPolicy,
}

struct Child {
    make: Box<dyn FnMut() -> Box<dyn Service> + Send>,
    probe: Probe,
    stop: watch::Sender<bool>,
    cell: Option<ActorCell>,
    /// When it was started again, within the window.
    restarts: VecDeque<Instant>,
    backoff: Option<JoinHandle<Result<(), ractor::MessagingErr<Message>>>>,
    /// Somebody asked for the restart that is under way.
    asked: bool,
}

impl Actor for Root {
    type Msg = Message;
    type State = Vec<Child>;
    type Arguments = Vec<Child>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Message>,
        children: Vec<Child>,
    ) -> Result<Vec<Child>, ActorProcessingErr> {
        Ok(children)
    }

    async fn post_start(&self, myself: ActorRef<Message>, children: &mut Vec<Child>) -> Result<(), ActorProcessingErr> {
        for child in children.iter_mut() {
            child.start(&myself).await;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        children: &mut Vec<Child>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Start(index) => {
                if let Some(child) = children.get_mut(index) {
                    child.backoff = None;
                    if child.cell.is_none() {
                        child.start(&myself).await;
                    }
                }
            }
            Message::Restart(index) => {
                if let Some(child) = children.get_mut(index) {
                    child.restart(&myself).await;
                }
            }
            Message::Stop { deadline, reply } => {
                let mut killed = Vec::new();
                for child in children.iter_mut().rev() {
                    if !child.stop(deadline).await {
                        killed.push(child.probe.name());
                    }
                }
                let _gone = reply.send(killed);
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        children: &mut Vec<Child>,
    ) -> Result<(), ActorProcessingErr> {
        let error = match &event {
            SupervisionEvent::ActorFailed(_, error) => error.to_string(),
            SupervisionEvent::ActorTerminated(..) => "it ended by itself".to_owned(),
            _ => return Ok(()),
        };
        let id = event.actor_id();
        let ended = children.iter().position(|c| c.cell.as_ref().map(ActorCell::get_id) == id && id.is_some());
        if let Some(index) = ended
            && let Some(child) = children.get_mut(index)
        {
            child.ended(index, error, &self.policy, &myself);
        }
        Ok(())
    }
}

impl Child {
    async fn start(&mut self, root: &ActorRef<Message>) {
        if *self.stop.borrow() {
            return;
        }
        self.probe.set_state(ServiceState::Starting);
        let context = Context { stop: Stop(self.stop.subscribe()), probe: self.probe.clone() };
        let host = Host { context };
        // `pre_start` does nothing that could fail, because its failure would reach only this line.
        match Actor::spawn_linked(None, host, (self.make)(), root.get_cell()).await {
            Ok((actor, _handle)) => self.cell = Some(actor.get_cell()),
            Err(error) => {
                self.probe.note_error(error);
                self.probe.set_state(ServiceState::Failed);
            }
        }
    }

    async fn restart(&mut self, root: &ActorRef<Message>) {
        if *self.stop.borrow() {
            return;
        }
        self.restarts.clear();
        match &self.cell {
            // It starts again when its end is told.
            Some(cell) => {
                self.asked = true;
                cell.kill();
            }
            None => {
                if let Some(backoff) = self.backoff.take() {
                    backoff.abort();
                }
                self.probe.note_restart();
                self.start(root).await;
            }
        }
    }

    fn ended(&mut self, index: usize, error: String, policy: &RestartPolicy, root: &ActorRef<Message>) {
        self.cell = None;
        if std::mem::take(&mut self.asked) {
            tracing::warn!(service = self.probe.name(), "the service was ended as asked and starts again");
            self.probe.note_restart();
            self.probe.set_state(ServiceState::Restarting);
            let _stopping = root.send_message(Message::Start(index));
            return;
        }
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < policy.window);
        self.probe.note_error(&error);
        if self.restarts.len() >= policy.budget {
            tracing::error!(service = self.probe.name(), error, "the service failed too often and stays down");
            self.probe.set_state(ServiceState::Failed);
            return;
        }
        self.restarts.push_back(now);
        let pause = policy.backoff(self.restarts.len());
        tracing::warn!(
            service = self.probe.name(),
            error,
            pause_ms = pause.as_millis() as u64,
            "the service failed and restarts"
        );
        self.probe.note_restart();
        self.probe.set_state(ServiceState::Restarting);
        self.backoff = Some(root.send_after(pause, move || Message::Start(index)));
    }

    /// Returns whether it came to its end by itself.
    async fn stop(&mut self, deadline: Instant) -> bool {
        self.stop.send_replace(true);
        if let Some(backoff) = self.backoff.take() {
            backoff.abort();
        }
        let Some(cell) = self.cell.take() else {
            if self.probe.state() != ServiceState::Failed {
                self.probe.set_state(ServiceState::Stopped);
            }
            return true;
        };
        self.probe.set_state(ServiceState::Stopping);
        let in_time = cell.wait(Some(deadline.saturating_duration_since(Instant::now()))).await.is_ok();
        if !in_time {
            tracing::error!(service = self.probe.name(), "the service did not drain in time and is killed");
            let _gone = cell.kill_and_wait(Some(Duration::from_secs(1))).await;
        }
        self.probe.set_state(ServiceState::Stopped);
        in_time
    }
}

/// The ractor actor around one incarnation of a service.
struct Host {
    context: Context,
}

struct Run;

impl Actor for Host {
    type Msg = Run;
    type State = ServiceCell;
    type Arguments = Box<dyn Service>;

    async fn pre_start(
        &self,
        _me: ActorRef<Run>,
        service: Box<dyn Service>,
    ) -> Result<ServiceCell, ActorProcessingErr> {
        Ok(ServiceCell(service))
    }

    async fn post_start(&self, myself: ActorRef<Run>, _service: &mut ServiceCell) -> Result<(), ActorProcessingErr> {
        myself.send_message(Run)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Run>,
        _run: Run,
        service: &mut ServiceCell,
    ) -> Result<(), ActorProcessingErr> {
        service.0.run(self.context.clone()).await?;
        myself.stop(None);
        Ok(())
    }
}

struct ServiceCell(Box<dyn Service>);
