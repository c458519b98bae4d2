//! Feeds that the crowd asks for, beside its events and never in their way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use foryou_schemas::Event;
use hyper::Method;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use super::server::{Server, asked_to_wait};
use crate::http::input::encode;

/// Feeds that are asked for at a time.
const AT_ONCE: usize = 4;
/// Feeds that may wait to be asked for.
const WAITING: usize = 256;
/// Videos of a feed.
const LIMIT: usize = 10;

/// Asks for feeds.
pub struct Feeds {
    wishes: mpsc::Sender<String>,
    askers: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    served: AtomicU64,
    failed: AtomicU64,
}

impl Feeds {
    /// Ready to ask.
    pub fn start(server: &Arc<Server>) -> Self {
        let (wishes, waiting) = mpsc::channel(WAITING);
        let (waiting, counts) = (Arc::new(Mutex::new(waiting)), Arc::<Counts>::default());
        let mut askers = JoinSet::new();
        for _ in 0..AT_ONCE {
            askers.spawn(ask_all(server.clone(), waiting.clone(), counts.clone()));
        }
        Self { wishes, askers, counts }
    }

    /// Has a person ask for the feed that reflects an event. Where too many wait, nobody does.
    pub fn ask(&mut self, event: &Event) {
        let (user, after) = (encode(event.user.as_str()), encode(event.id.as_str()));
        let surface = event.surface.as_deref().map_or_else(String::new, |s| format!("&surface={}", encode(s)));
        let path = format!("/v1/users/{user}/feed?limit={LIMIT}&after={after}{surface}");
        if self.wishes.try_send(path).is_err() {
            self.counts.failed.fetch_add(1, Relaxed);
        }
    }

    /// How many were served so far.
    pub fn served(&self) -> u64 {
        self.counts.served.load(Relaxed)
    }

    /// Waits for those that were asked for: how many were served, and how many were not.
    pub async fn end(self) -> (u64, u64) {
        drop(self.wishes);
        self.askers.join_all().await;
        (self.counts.served.load(Relaxed), self.counts.failed.load(Relaxed))
    }
}

async fn ask_all(server: Arc<Server>, waiting: Arc<Mutex<mpsc::Receiver<String>>>, counts: Arc<Counts>) {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(path) = next else { return };
        let answer = server.ask(Method::GET, &path, Vec::new()).await;
        let ok = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
        if ok { &counts.served } else { &counts.failed }.fetch_add(1, Relaxed);
        if let Some(wait) = answer.ok().as_ref().and_then(asked_to_wait) {
            tokio::time::sleep(wait).await;
        }
    }
}
