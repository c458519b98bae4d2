//! Looks at the server once a second: keeps the figures of the last hours, and hands each look to whoever watches.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_web::web::Bytes;
use async_trait::async_trait;
use foryou_actors::services::supervisor::{Context, Service, ServiceError, ServiceSpec};
use foryou_schemas::Timestamp;
use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    history::{COARSE, FINE, History},
    series::{Reading, Sources},
};

/// What has to be waited for before the figures are read; it ends in time by itself.
pub type Prepare = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;
/// What watchers are told, from the time and the figures; called only while somebody watches.
pub type Tell = Box<dyn Fn(i64, &[f32]) -> Bytes + Send + Sync>;

/// What there is to look at, known once everything is started.
pub struct Scene {
    /// The figures.
    pub sources: Sources,
    /// Before the figures.
    pub prepare: Prepare,
    /// After them.
    pub tell: Tell,
}

/// The figures of the last hours, and the latest look for those who watch.
pub struct Observatory {
    scene: OnceLock<(Scene, History)>,
    latest: watch::Sender<Bytes>,
    watchers: Arc<AtomicUsize>,
    most: usize,
}

/// One who watches. Dropped, it makes room for another.
pub struct Watcher {
    looks: watch::Receiver<Bytes>,
    watchers: Arc<AtomicUsize>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, SeqCst);
    }
}

impl Watcher {
    /// The next look; `None` once there is none any more. Who reads slowly misses some.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.looks.changed().await.ok()?;
        let look = self.looks.borrow_and_update().clone();
        // An empty one says that the server stops.
        (!look.is_empty()).then_some(look)
    }
}

impl Observatory {
    /// For at most `most` watchers at a time.
    pub fn new(most: usize) -> Arc<Self> {
        let latest = watch::Sender::new(Bytes::new());
        Arc::new(Self { scene: OnceLock::new(), latest, watchers: Arc::default(), most })
    }

    /// Says what there is to look at, once.
    pub fn begin(&self, scene: Scene) {
        let history = History::new(scene.sources.names());
        let _twice = self.scene.set((scene, history));
    }

    /// The figures so far; `None` before everything is started.
    pub fn history(&self) -> Option<&History> {
        self.scene.get().map(|(_, history)| history)
    }

    /// A place among the watchers; `None` where all are taken.
    pub fn watch(&self) -> Option<Watcher> {
        let watcher = Watcher { looks: self.latest.subscribe(), watchers: self.watchers.clone() };
        (self.watchers.fetch_add(1, SeqCst) < self.most).then_some(watcher)
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.watchers.load(SeqCst)
    }

    /// Ends every watcher's stream.
    pub fn close(&self) {
        self.latest.send_replace(Bytes::new());
    }

    /// The service that looks.
    pub fn service(self: &Arc<Self>) -> ServiceSpec {
        let this = Arc::clone(self);
        ServiceSpec::new("observatory", move || Observer(Arc::clone(&this)))
    }
}

struct Observer(Arc<Observatory>);

/// A reading, and when it was taken.
struct Taken(Reading, Instant);

impl Taken {
    fn now(sources: &Sources) -> Self {
        Self(sources.read(), Instant::now())
    }
}

#[async_trait]
impl Service for Observer {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        let mut ticks = interval(Duration::from_secs(FINE.step_s));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut fine, mut coarse) = (None::<Taken>, None::<Taken>);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = context.stop.requested() => return Ok(()),
            }
            let Some((scene, history)) = self.0.scene.get() else { continue };
            let began = Instant::now();
            (scene.prepare)().await;
            let (now, at_ms) = (Taken::now(&scene.sources), Timestamp::now().millis());
            let row = |then: &Taken| scene.sources.row(&then.0, &now.0, (now.1 - then.1).as_secs_f64().max(0.001));
            if let Some(then) = &coarse
                && now.1 - then.1 >= Duration::from_secs(COARSE.step_s)
            {
                history.push(COARSE, at_ms, row(then));
                coarse = None;
            }
            if let Some(then) = &fine {
                let row = row(then);
                if self.0.watchers() > 0 {
                    self.0.latest.send_replace((scene.tell)(at_ms, &row));
                }
                history.push(FINE, at_ms, row);
            }
            if coarse.is_none() {
                coarse = Some(Taken::now(&scene.sources));
            }
            fine = Some(now);
            context.probe.handled(1, began.elapsed());
        }
    }
}
