//! The driver's end: folds what the reader hands on into the store, in the order of its coming.

use std::{collections::HashSet, sync::Arc};

use foryou_actors::{
    catalogue::Catalogue,
    fold::Fold,
    live::Live,
    ports::store::{Batch, FeatureStore, creators::Said},
    services::catalogue,
    sessions::{
        snapshot::{self, Rebuilt},
        state::{Profile, SessionState},
    },
    statistics::{Entity, TallyKey},
    tallies,
};
use foryou_schemas::{Event, EventId, Timestamp, User, UserId, Video, VideoId, event::MAX_AHEAD_MS};

use super::{
    ImportError, Summary,
    report::{Place, Report},
    sink::Chunk,
};

/// How many sessions are kept in memory (about 3 KiB each); past that, all are put to sleep.
const MAX_SESSIONS: usize = 200_000;

/// How many session snapshots are written at once.
const SNAPSHOTS_AT_ONCE: usize = 4_096;

/// Folds chunks into a store.
pub(super) struct Writer<'a> {
    store: &'a dyn FeatureStore,
    fold: Fold,
    now: Timestamp,
    report: Arc<Report>,
    counted: Summary,
    /// What the last chunk of events became. It is written while the next one is folded.
    pending: Batch,
    /// How many sessions may be in memory between two chunks.
    pub max_sessions: usize,
}

impl<'a> Writer<'a> {
    /// Goes on from what the store holds.
    pub async fn open(store: &'a dyn FeatureStore, report: Arc<Report>, now: Timestamp) -> Result<Self, ImportError> {
        let live = Live::default();
        catalogue::load(store, &live).await?;
        tallies::restore(store, &live).await?;
        Ok(Self {
            store,
            fold: Fold::new(Arc::new(live)),
            now,
            report,
            counted: Summary::default(),
            pending: Batch::default(),
            max_sessions: MAX_SESSIONS,
        })
    }

    /// Takes a chunk in. Everything is durable after [`Writer::finish`], an interrupted import up to some chunk.
    pub async fn take(&mut self, chunk: Chunk) -> Result<(), ImportError> {
        match chunk {
            Chunk::Users(users) => self.users(users).await,
            Chunk::Videos(videos) => self.videos(videos).await,
            Chunk::Events(events) => self.events(events).await,
        }
    }

    /// Writes the sessions, and says what was counted.
    pub async fn finish(mut self) -> Result<Summary, ImportError> {
        self.store.write(std::mem::take(&mut self.pending)).await?;
        self.sleep_all().await?;
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
        let before = std::mem::take(&mut self.pending);
        let under_way = before.activity.iter().map(|activity| activity.event.id.clone()).collect();
        let (written, folded) = tokio::join!(self.store.write(before), self.fold(events, under_way));
        written?;
        self.pending = folded?;
        if self.fold.sessions.len() > self.max_sessions {
            // A snapshot must not overtake the events in it.
            self.store.write(std::mem::take(&mut self.pending)).await?;
            self.sleep_all().await?;
        }
        Ok(())
    }

    /// Folds events that are not known; `taken` are the ids of those that are being written.
    async fn fold(&mut self, events: Vec<(Event, Place)>, mut taken: HashSet<EventId>) -> Result<Batch, ImportError> {
        let ids: Vec<EventId> = events.iter().map(|(event, _)| event.id.clone()).collect();
        let known = self.store.known_events(&ids).await?;
        let mut changed = HashSet::new();
        let mut batch = Batch { activity: Vec::with_capacity(events.len()), ..Batch::default() };
        for ((event, place), known) in events.into_iter().zip(known) {
            if known || taken.contains(&event.id) {
                self.counted.known += 1;
                continue;
            }
            if event.at > self.now.plus_millis(MAX_AHEAD_MS) {
                self.report.skip(place, format_args!("{} lies in the future; give a smaller --shift", event.at));
                continue;
            }
            let Some(incoming) = self.fold.live.resolve(&event) else {
                self.report.skip(place, format_args!("video {} is not in the catalogue", event.video));
                continue;
            };
            taken.insert(event.id.clone());
            self.wake(&event.user).await?;
            let creator = self.fold.live.catalogue().creators().name(incoming.entry.creator).cloned();
            batch.creators.extend(Said::by(&event, creator.as_ref()));
            let folded = self.fold.apply_resolved(event, &incoming);
            changed.extend(folded.changed);
            batch.activity.push(folded.activity);
        }
        if batch.activity.is_empty() {
            return Ok(batch);
        }
        self.counted.events += batch.activity.len() as u64;
        batch.tallies = self.tallies(&changed);
        batch.order = Some(self.fold.live.statistics.read().order());
        Ok(batch)
    }

    /// The absolute values of what changed, as the store keeps them.
    fn tallies(&self, changed: &HashSet<Entity>) -> Vec<(TallyKey, Vec<u8>)> {
        let (live, catalogue) = (&self.fold.live, self.fold.live.catalogue());
        let row =
            |&entity: &Entity| Some((tallies::key(entity, &catalogue, live)?, tallies::encode(&live.own(entity))));
        changed.iter().filter_map(row).collect()
    }

    /// Brings a person's session to memory, out of the store where it has one.
    async fn wake(&mut self, user: &UserId) -> Result<(), ImportError> {
        if !self.fold.sessions.contains_key(user) {
            let stored = self.store.session(user).await?;
            let Rebuilt { state, untold } = snapshot::rebuild(user, &stored, &self.fold.live)?;
            if !untold.is_empty() {
                self.store.write(Batch { creators: untold, ..Batch::default() }).await?;
            }
            self.fold.sessions.insert(user.clone(), state);
        }
        Ok(())
    }

    /// Writes snapshots of the sessions that an event has changed, and forgets all.
    async fn sleep_all(&mut self) -> Result<(), ImportError> {
        let catalogue = self.fold.live.catalogue_full();
        let mut sessions = std::mem::take(&mut self.fold.sessions).into_iter().filter(|(_, session)| session.seq > 0);
        loop {
            let encoded =
                |(user, session): (UserId, SessionState)| (user, session.seq, snapshot::encode(&session, &catalogue));
            let snapshots: Vec<_> = sessions.by_ref().take(SNAPSHOTS_AT_ONCE).map(encoded).collect();
            if snapshots.is_empty() {
                return Ok(());
            }
            self.store.write(Batch { snapshots, ..Batch::default() }).await?;
        }
    }
}
