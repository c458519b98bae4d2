//! The driver's end: folds what the reader hands on into the store, in the order of its coming.

use std::{collections::HashSet, sync::Arc};

use foryou_actors::{
    catalogue::Catalogue,
    fold::Fold,
    ports::store::{Batch, FeatureStore},
    sessions::{snapshot, state::Profile},
    tallies,
};
use foryou_schemas::{Event, EventId, Timestamp, User, UserId, Video, VideoId};

use super::{
    ImportError, Summary,
    report::{Place, Report},
    restore,
    sink::Chunk,
};

/// How many sessions are kept in memory (about 3 KiB each); past that, all are put to sleep.
const MAX_SESSIONS: usize = 200_000;

/// Folds chunks into a store.
pub(super) struct Writer<'a> {
    store: &'a dyn FeatureStore,
    fold: Fold,
    now: Timestamp,
    report: Arc<Report>,
    counted: Summary,
}

impl<'a> Writer<'a> {
    /// Goes on from what the store holds.
    pub async fn open(store: &'a dyn FeatureStore, report: Arc<Report>, now: Timestamp) -> Result<Self, ImportError> {
        let live = restore::live(store, now).await?;
        Ok(Self { store, fold: Fold::new(Arc::new(live)), now, report, counted: Summary::default() })
    }

    /// Writes a chunk; what it holds is durable when this returns.
    pub async fn take(&mut self, chunk: Chunk) -> Result<(), ImportError> {
        match chunk {
            Chunk::Users(users) => self.users(users).await,
            Chunk::Videos(videos) => self.videos(videos).await,
            Chunk::Events(events) => self.events(events).await,
        }
    }

    /// Writes the sessions, and says what was counted.
    pub async fn finish(mut self) -> Result<Summary, ImportError> {
        self.sleep_all();
        Ok(self.counted)
    }

    async fn users(&mut self, users: Vec<(UserId, User)>) -> Result<(), ImportError> {
        self.store.put_users(&users).await?;
        for (id, user) in &users {
            if let Some(session) = self.fold.sessions.get_mut(id) {
                session.profile = Profile::from(user);
            }
        }
        self.counted.users += users.len() as u64;
        Ok(())
    }

    async fn videos(&mut self, videos: Vec<(VideoId, Video)>) -> Result<(), ImportError> {
        self.counted.videos += videos.len() as u64;
        let mut catalogue = Catalogue::clone(&self.fold.live.catalogue());
        let mut changed = Vec::with_capacity(videos.len());
        for (id, video) in videos {
            let before = catalogue.find(&id).and_then(|n| catalogue.video(n)).cloned();
            let (number, _) = catalogue.put(&id, video, self.now);
            match catalogue.video(number) {
                Some(video) if before.as_ref() != Some(video) => changed.push((id, Video::clone(video))),
                _ => {}
            }
        }
        self.fold.live.publish_catalogue(catalogue);
        if !changed.is_empty() {
            self.store.put_videos(&changed).await?;
        }
        Ok(())
    }

    async fn events(&mut self, events: Vec<(Event, Place)>) -> Result<(), ImportError> {
        let ids: Vec<EventId> = events.iter().map(|(event, _)| event.id.clone()).collect();
        let known = self.store.known_events(&ids).await?;
        let mut within = HashSet::with_capacity(events.len());
        let mut changed = HashSet::new();
        let mut batch = Batch { activity: Vec::with_capacity(events.len()), ..Batch::default() };
        for ((event, place), known) in events.into_iter().zip(known) {
            if known || within.contains(&event.id) {
                self.counted.known += 1;
                continue;
            }
            let Some(incoming) = self.fold.live.resolve(&event) else {
                self.report.skip(place, format_args!("video {} is not in the catalogue", event.video));
                continue;
            };
            within.insert(event.id.clone());
            self.wake(&event.user).await?;
            let folded = self.fold.apply_resolved(event, &incoming);
            changed.extend(folded.changed);
            batch.activity.push(folded.activity);
        }
        if batch.activity.is_empty() {
            return Ok(());
        }
        self.counted.events += batch.activity.len() as u64;
        let (catalogue, live) = (self.fold.live.catalogue_full(), &self.fold.live);
        {
            let statistics = live.statistics.read();
            let absolute = |entity| Some((tallies::key(entity, &catalogue, live)?, tallies::encode(&statistics.tally(entity))));
            batch.tallies = changed.into_iter().filter_map(absolute).collect();
            batch.order = Some(statistics.order());
        }
        self.store.write(batch).await?;
        if self.fold.sessions.len() > MAX_SESSIONS {
            self.sleep_all();
        }
        Ok(())
    }

    /// Brings a person's session to memory, out of the store where it has one.
    async fn wake(&mut self, user: &UserId) -> Result<(), ImportError> {
        if !self.fold.sessions.contains_key(user) {
            let stored = self.store.session(user).await?;
            self.fold.sessions.insert(user.clone(), snapshot::rebuild(&stored, &self.fold.live)?);
        }
        Ok(())
    }

    /// Forgets all sessions: the store holds what they are rebuilt from.
    fn sleep_all(&mut self) {
        self.fold.sessions.clear();
    }
}
