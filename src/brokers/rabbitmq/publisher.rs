//! Messages to the broker: one task owns the connection, opens it again when it is lost, and answers when a message is confirmed.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use foryou_actors::{backoff::Backoff, complaint::Complaint, ports::bus::BusError};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, FuturesUnordered},
};
use lapin::{
    BasicProperties, Channel, Confirmation, Event, ExchangeKind,
    options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions},
    types::{FieldTable, ShortString},
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use super::link::{Address, Link, describe};

/// What a publisher is told to wait when there is no room.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Between attempts to connect: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A message and where it goes.
pub struct Message {
    pub exchange: ShortString,
    pub routing_key: ShortString,
    pub properties: BasicProperties,
    pub payload: Vec<u8>,
}

/// How the connection is.
enum State {
    Up,
    /// The broker takes nothing, because it is short of something.
    Blocked(Instant, String),
    Away(Instant, String),
}

/// Publishes concurrently, in the order of the calls.
pub struct Publisher {
    jobs: mpsc::UnboundedSender<Job>,
    state: Arc<Mutex<State>>,
    /// One for each message that is not confirmed; what bounds `jobs`, too.
    room: Arc<Semaphore>,
    capacity: usize,
    address: Address,
    task: JoinHandle<()>,
}

/// Messages of one caller. The room is given back when the broker has answered, whether the caller still waits or not.
struct Job {
    messages: Vec<Message>,
    answer: oneshot::Sender<Result<(), BusError>>,
    room: OwnedSemaphorePermit,
}

impl Publisher {
    /// Connects, and stays connected until it is dropped. `exchanges`: where messages will go.
    pub async fn start(
        address: Address,
        exchanges: Vec<(ShortString, ExchangeKind)>,
        capacity: usize,
    ) -> Result<Self, BusError> {
        let line = Line::open(&address, &exchanges).await?;
        let (jobs, incoming) = mpsc::unbounded_channel();
        let state = Arc::new(Mutex::new(State::Up));
        let task = tokio::spawn(run(address.clone(), exchanges, line, incoming, state.clone()));
        Ok(Self { jobs, state, room: Arc::new(Semaphore::new(capacity)), capacity, address, task })
    }

    /// Publishes messages; durable when this returns. On an error some of them may be, too.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<(), BusError> {
        if let Some(trouble) = self.trouble() {
            return Err(BusError::Away(trouble));
        }
        let count = messages.len().min(self.capacity) as u32;
        let Ok(room) = self.room.clone().try_acquire_many_owned(count) else {
            return Err(BusError::Full { retry_after: RETRY_AFTER });
        };
        let (answer, answered) = oneshot::channel();
        let lost = || BusError::Away(self.trouble().unwrap_or_else(|| "RabbitMQ was lost before it confirmed".into()));
        self.jobs.send(Job { messages, answer, room }).map_err(|_| lost())?;
        match tokio::time::timeout(self.address.timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(lost()),
            Err(_) => Err(self.trouble().map_or_else(|| self.address.silence("to confirm events"), BusError::Away)),
        }
    }

    /// Why nothing can be published now, where that is so.
    pub fn trouble(&self) -> Option<String> {
        let since = |instant: &Instant| instant.elapsed().as_secs();
        match &*self.state.lock() {
            State::Up => None,
            State::Blocked(at, reason) => {
                Some(format!("{} takes no messages for {} s: {reason}", self.address, since(at)))
            }
            State::Away(at, reason) => Some(format!("{reason} (for {} s)", since(at))),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An open connection with a channel on which messages are confirmed.
struct Line {
    link: Link,
    channel: Channel,
    events: Pin<Box<dyn stream::Stream<Item = Event> + Send>>,
}

impl Line {
    /// Connects. A message to an exchange that is not there would cost the connection, so that is found out first.
    async fn open(address: &Address, exchanges: &[(ShortString, ExchangeKind)]) -> Result<Self, BusError> {
        let link = address.connect("publisher").await?;
        let events = Box::pin(link.connection.events_listener());
        let channel = address.within("to open a channel", link.connection.create_channel()).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        address.within("to confirm", confirms).await?;
        for (exchange, kind) in exchanges {
            let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
            let there = channel.exchange_declare(exchange.clone(), kind.clone(), passive, FieldTable::default());
            address.within(&format!("for exchange {exchange}"), there).await?;
        }
        Ok(Self { link, channel, events })
    }

    /// Publishes what comes, until the connection is lost (why?), or nothing comes any more (`None`).
    async fn serve(&mut self, jobs: &mut mpsc::UnboundedReceiver<Job>, state: &Mutex<State>) -> Option<String> {
        let mut unconfirmed = FuturesUnordered::new();
        loop {
            tokio::select! {
                job = jobs.recv() => unconfirmed.push(self.publish(job?)),
                Some(lost) = unconfirmed.next() => if let Some(lost) = lost {
                    return Some(lost);
                },
                event = self.events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "RabbitMQ takes no messages");
                        *state.lock() = State::Blocked(Instant::now(), reason);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("RabbitMQ takes messages again");
                        *state.lock() = State::Up;
                    }
                    Some(Event::Error(error)) => return Some(describe(&error)),
                    Some(_) => {}
                    None => return Some("the connection ended".into()),
                },
            }
        }
    }

    /// Puts messages on the wire, now and in order. What is returned waits for the confirmations and answers the caller; it comes to a
    /// reason when the channel was lost.
    fn publish(&self, job: Job) -> impl Future<Output = Option<String>> + use<> {
        let mut confirmations: Vec<_> = Vec::with_capacity(job.messages.len());
        for message in job.messages {
            let channel = self.channel.clone();
            let mut confirmation = Box::pin(async move {
                let Message { exchange, routing_key, properties, payload } = message;
                let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
                channel.basic_publish(exchange, routing_key, mandatory, &payload, properties).await?.await
            });
            // The first poll puts the message into lapin's queue; what it comes to is seen below.
            let early = confirmation.as_mut().now_or_never();
            confirmations.push((confirmation, early));
        }
        async move {
            let (mut answer, mut lost) = (Ok(()), None);
            for (confirmation, early) in confirmations {
                let confirmed = match early {
                    Some(confirmed) => confirmed,
                    None => confirmation.await,
                };
                let refused = match confirmed {
                    Ok(Confirmation::Ack(None)) => continue,
                    Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                        let (exchange, key) = (&returned.delivery.exchange, returned.delivery.routing_key.as_str());
                        BusError::Away(format!(
                            "no queue takes what goes to exchange {exchange} under {key:?}; run `foryou migrate`"
                        ))
                    }
                    Ok(Confirmation::Nack(None)) => BusError::Full { retry_after: RETRY_AFTER },
                    Ok(Confirmation::NotRequested) => BusError::Away("RabbitMQ does not confirm".into()),
                    Err(error) => {
                        let reason = describe(&error);
                        lost = Some(reason.clone());
                        BusError::Away(format!("RabbitMQ was lost before it confirmed: {reason}"))
                    }
                };
                // What is away says more than what is full.
                if !matches!((&answer, &refused), (Err(BusError::Away(_)), _)) {
                    answer = Err(refused);
                }
            }
            // The caller may have gone away meanwhile.
            let _ = job.answer.send(answer);
            drop(job.room);
            lost
        }
    }
}

/// The task: keeps a line open and serves it.
async fn run(
    address: Address,
    exchanges: Vec<(ShortString, ExchangeKind)>,
    mut line: Line,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    state: Arc<Mutex<State>>,
) {
    let (mut backoff, complaint) = (Backoff::new(PAUSES.0, PAUSES.1), Complaint::default());
    loop {
        let opened = Instant::now();
        let Some(reason) = line.serve(&mut jobs, &state).await else {
            return line.link.close(address.timeout).await;
        };
        let reason = format!("{address} is lost: {reason}");
        if let Some(left_out) = complaint.failed() {
            tracing::warn!(left_out, "{reason}");
        }
        *state.lock() = State::Away(Instant::now(), reason);
        drop(line);
        backoff.worked_for(opened.elapsed());
        let mut again = std::pin::pin!(open_again(&address, &exchanges, &state, &mut backoff));
        line = loop {
            tokio::select! {
                line = &mut again => break line,
                // It came just before the loss was known; its caller is told so.
                job = jobs.recv() => if job.is_none() {
                    return;
                },
            }
        };
        if let Some(failed) = complaint.works() {
            tracing::info!(failed, "{address} is back");
        }
        *state.lock() = State::Up;
    }
}

async fn open_again(
    address: &Address,
    exchanges: &[(ShortString, ExchangeKind)],
    state: &Mutex<State>,
    backoff: &mut Backoff,
) -> Line {
    loop {
        tokio::time::sleep(backoff.pause()).await;
        match Line::open(address, exchanges).await {
            Ok(line) => return line,
            Err(error) => {
                if let (State::Away(_, reason), BusError::Away(error)) = (&mut *state.lock(), error) {
                    *reason = error;
                }
            }
        }
    }
}
