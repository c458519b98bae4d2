//! `bench sockets`: what an idle feed socket costs, and how long an action takes until the better tail is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    load::{Hit, histogram, open_loop, quantile_ms},
    report::{Head, Target},
    server::Server,
    socket::Socket,
};
use crate::{config::Whole, open_files};

/// Sockets that are being opened at once.
const OPENING: usize = 64;
/// Open files beside the sockets, on either side.
const OTHER_FILES: u64 = 512;
/// Feeds asked for before anything is measured, so that what grows to a bound (the store's tables in memory, pools) has done so.
const WARM_FEEDS: f64 = 6_000.0;
const WARM_RATE: f64 = 400.0;
/// After how long without an answer a tail counts as missing.
const MISSING_AFTER: Duration = Duration::from_secs(10);
/// How long the server's memory has to stay as it is to count as settled, and the longest wait for that.
const SETTLED_FOR: Duration = Duration::from_secs(3);
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Settings.
#[derive(Debug, Clone, Serialize)]
pub struct SocketsBench {
    /// Idle sockets, each of a person without a history: what histories cost is what `bench sessions` measures.
    pub idle: usize,
    /// Idle sockets that are opened before, so that memory pools are warm; they stay open.
    pub before: usize,
    /// Active sockets.
    pub active: usize,
    /// Actions per second of all of them.
    pub rate: f64,
    /// For how long.
    pub duration_s: f64,
    /// How long a server gathers what happens until it pushes.
    pub coalesce_ms: u32,
    /// What it runs against.
    pub target: Target,
}

/// What came out; see the contract, section 5.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract says it")]
pub struct SocketsReport {
    #[serde(flatten)]
    pub head: Head,
    pub settings: SocketsBench,
    pub idle: usize,
    /// The resident set that each idle socket added to the server's, the person's (empty) session in it.
    pub bytes_each: usize,
    /// From the first connection to the last first feed, milliseconds a socket.
    pub open_ms_each: f64,
    pub active: usize,
    /// From the scheduled sending of an action until the tail because of it, milliseconds.
    pub action_to_tail: Tail,
    /// The server's CPU time for each of them, milliseconds.
    pub cpu_ms_per_action: f64,
    /// Actions without a tail, and sockets that ended.
    pub dropped: u64,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
pub struct Tail {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    pub samples: u64,
}

/// Runs it.
pub async fn run(mut settings: SocketsBench) -> Result<SocketsReport> {
    let began = Instant::now();
    let SocketsBench { idle, before, active, .. } = settings;
    let sockets = (idle + before + active) as u64;
    let files = open_files::raise()?;
    ensure!(
        files >= sockets + OTHER_FILES,
        "{sockets} sockets need {} open files, and this process may have {files}; raise the hard limit (`ulimit -Hn`), or ask for \
         fewer with --idle",
        sockets + OTHER_FILES
    );
    let config = &mut settings.target.config;
    config.sockets.coalesce_ms = Whole::new(settings.coalesce_ms);
    config.sockets.max = Whole::new(u32::try_from(sockets + OTHER_FILES)?);
    let server = Server::start(&settings.target).await?;
    let people = server.users.len();
    ensure!(people >= active, "the data set has {people} people, fewer than {active} active sockets");
    let people = &server.users[..active];
    let names: Vec<String> = (0..before + idle).map(|n| format!("idle-{n}")).collect();
    let (first, rest) = names.split_at(before);
    warm_up(&server, people).await?;
    let dropped = Arc::new(AtomicU64::new(0));

    let mut idlers = JoinSet::new();
    open(&server, 0, first, &mut idlers, &dropped).await?;
    let empty = settled(&server).await?;
    let opening = Instant::now();
    open(&server, before, rest, &mut idlers, &dropped).await?;
    let open_ms_each = opening.elapsed().as_secs_f64() * 1e3 / idle.max(1) as f64;
    let full = settled(&server).await?;

    let cpu = server.cpu_s()?;
    let tails = act(&server, &settings, people, &dropped).await?;
    let cpu = server.cpu_s()? - cpu;
    idlers.shutdown().await;
    Ok(SocketsReport {
        idle,
        bytes_each: full.saturating_sub(empty) / idle.max(1),
        open_ms_each,
        active,
        action_to_tail: Tail {
            p50: quantile_ms(&tails, 0.5),
            p99: quantile_ms(&tails, 0.99),
            max: tails.max() as f64 / 1e3,
            samples: tails.len(),
        },
        cpu_ms_per_action: cpu * 1e3 / tails.len().max(1) as f64,
        dropped: dropped.load(Relaxed),
        head: Head::new("sockets", began, server.onnxruntime()),
        settings,
    })
}

/// Feeds of people who are not measured.
async fn warm_up(server: &Server, people: &[String]) -> Result<()> {
    let people: Arc<[String]> = people.into();
    let request = move |mut client: super::client::Client, n: u64| {
        let path = format!("/v1/users/{}/feed?limit=20", people[n as usize % people.len()]);
        async move {
            let answer = client.get(&path).await.map(|(status, _)| Hit { ok: status.is_success(), marks: 0 });
            (client, answer)
        }
    };
    let duration = Duration::from_secs_f64(WARM_FEEDS / WARM_RATE);
    open_loop(server.address, WARM_RATE, duration, 16, request).await.map(|_| ())
}

/// Opens a socket for each of these people and reads its first feed; from then on it answers what the server asks, and no more.
async fn open(
    server: &Server,
    first: usize,
    people: &[String],
    idlers: &mut JoinSet<()>,
    dropped: &Arc<AtomicU64>,
) -> Result<()> {
    let (room, to) = (Arc::new(Semaphore::new(OPENING)), server.address);
    let mut opening = JoinSet::new();
    for (n, user) in (first..).zip(people.to_vec()) {
        let room = room.clone().acquire_owned().await?;
        opening.spawn(async move {
            let mut socket = Socket::open(to, n, &user).await?;
            socket.until("feed").await.with_context(|| format!("the socket of {user}"))?;
            drop(room);
            Ok::<_, anyhow::Error>(socket)
        });
    }
    while let Some(opened) = opening.join_next().await {
        let (mut socket, dropped) = (opened??, dropped.clone());
        idlers.spawn(async move {
            while socket.hear().await.is_ok() {}
            dropped.fetch_add(1, Relaxed);
        });
    }
    Ok(())
}

/// The server's resident set, bytes, once it does not change any more.
async fn settled(server: &Server) -> Result<usize> {
    let (began, mut low, mut high, mut since) = (Instant::now(), usize::MAX, 0, Instant::now());
    loop {
        let now = server.resident_bytes()?;
        // Within one part in a thousand.
        if now.max(high) - now.min(low) > now / 1_000 {
            (low, high, since) = (now, now, Instant::now());
        } else {
            (low, high) = (low.min(now), high.max(now));
        }
        if since.elapsed() >= SETTLED_FOR || began.elapsed() >= SETTLED_WITHIN {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Actions on schedule, people in turn: the times until their tails.
async fn act(
    server: &Server,
    settings: &SocketsBench,
    people: &[String],
    dropped: &Arc<AtomicU64>,
) -> Result<Histogram<u64>> {
    let (rate, total) = (settings.rate, (settings.rate * settings.duration_s) as u64);
    let tails = Arc::new(Mutex::new(histogram()));
    let (mut actors, mut queues) = (JoinSet::new(), Vec::new());
    for (n, user) in people.iter().enumerate() {
        let mut socket = Socket::open(server.address, settings.idle + settings.before + n, user).await?;
        let first = socket.until("feed").await?;
        let (queue, actions) = mpsc::unbounded_channel();
        queues.push(queue);
        actors.spawn(person(Person { socket, feed: first, tails: tails.clone(), dropped: dropped.clone() }, actions));
    }
    let start = Instant::now() + Duration::from_millis(100);
    // A thread of its own: the runtime's timer has a resolution of a millisecond, the kernel's of some 50 µs.
    let pacer = std::thread::spawn(move || {
        for n in 0..total {
            let scheduled = start + Duration::from_secs_f64(n as f64 / rate);
            std::thread::sleep(scheduled.saturating_duration_since(Instant::now()));
            // Whose socket has ended counts as dropped already.
            let _ended = queues[n as usize % queues.len()].send((n, scheduled));
        }
    });
    while let Some(done) = actors.join_next().await {
        done?;
    }
    let _ = pacer.join();
    let tails = tails.lock().clone();
    Ok(tails)
}

/// One active socket.
struct Person {
    socket: Socket,
    /// The latest.
    feed: serde_json::Value,
    tails: Arc<Mutex<Histogram<u64>>>,
    dropped: Arc<AtomicU64>,
}

/// Acts whenever it is time, and notes when the tail comes; a tail that reflects an action reflects those before it.
async fn person(mut person: Person, mut actions: mpsc::UnboundedReceiver<(u64, Instant)>) {
    let run = uuid::Uuid::now_v7().simple();
    let mut waiting: Vec<(String, Instant)> = Vec::new();
    let mut acting = true;
    while acting || !waiting.is_empty() {
        let patience = tokio::time::sleep(MISSING_AFTER);
        let lost = tokio::select! {
            action = actions.recv(), if acting => match action {
                Some((n, scheduled)) => {
                    let id = format!("{run}-{n}");
                    let said = person.socket.say(&action_on(&person.feed, &id, n)).await;
                    waiting.push((id, scheduled));
                    if let Err(error) = &said {
                        tracing::warn!(%error, "an active socket is left: it cannot be written to");
                    }
                    said.is_err()
                }
                None => { acting = false; false }
            },
            heard = person.socket.hear() => match heard {
                Ok(message) if message["type"] == "feed" => {
                    let because = message["because"]["id"].as_str().unwrap_or_default();
                    if let Some(at) = waiting.iter().position(|(id, _)| id == because) {
                        let mut tails = person.tails.lock();
                        for (_, scheduled) in waiting.drain(..=at) {
                            tails.saturating_record(scheduled.elapsed().as_micros() as u64);
                        }
                    }
                    // An action needs a video: a feed that ran out of its time may have none.
                    if message["items"].as_array().is_some_and(|items| !items.is_empty()) {
                        person.feed = message;
                    }
                    false
                }
                Ok(message) => {
                    let refused =
                        message["type"] == "error" || message["type"] == "bye" || message["status"] == "rejected";
                    if refused {
                        tracing::warn!(%message, "an active socket is left");
                    }
                    refused
                }
                Err(error) => {
                    tracing::warn!(%error, "an active socket is left");
                    true
                }
            },
            () = patience => {
                tracing::warn!(actions = waiting.len(), "an active socket is left: it got no tail");
                true
            }
        };
        if lost {
            person.dropped.fetch_add(waiting.len().max(1) as u64, Relaxed);
            return;
        }
    }
}

/// An action on the first video of the list: nine of ten are views.
fn action_on(feed: &serde_json::Value, id: &str, n: u64) -> String {
    let video = &feed["items"][0]["video"];
    let event = match n % 10 {
        0 => serde_json::json!({"type": "event", "id": id, "video": video, "kind": "like"}),
        _ => serde_json::json!({"type": "event", "id": id, "video": video, "kind": "view", "watch_ms": 9_000}),
    };
    event.to_string()
}
