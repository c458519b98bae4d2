//! The activity of the store as training reads it: names resolved, 56 bytes an event, in the order in which it was applied.

use std::{collections::HashMap, sync::Arc};

use foryou_actors::{
    catalogue::{Entry, VideoIndex},
    live::Live,
    ports::store::{FeatureStore, StoreError},
    services::catalogue,
    sessions::state::{Incoming, Profile},
    statistics::Expected,
};
use foryou_schemas::{Event, Kind, Timestamp, UserId};

/// One event, small.
#[derive(Debug, Clone, Copy)]
pub struct Logged {
    /// Number of the person in [`Log::users`].
    pub user: u32,
    /// Which video.
    pub video: VideoIndex,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// For how long, for a view; else 0.
    pub watch_ms: u32,
    /// Dense number of the surface.
    pub surface: u16,
    /// What was done.
    pub kind: Kind,
    /// Whether the event named a surface or a feed: it was logged where it happened. A history that was imported without its
    /// context does not, and is no example for the ranker.
    pub in_context: bool,
    /// What could be expected of the exposure when the event was applied; `None` where it never was.
    pub expected: Option<Expected>,
    /// Its number among the person's events, from 1; 0 where it was never applied.
    pub seq: u64,
    /// Its place among all events.
    pub order: u64,
}

impl Logged {
    /// When, seconds since 1970.
    pub fn at_s(&self) -> f64 {
        self.at_ms as f64 / 1e3
    }

    /// The event as a session takes it.
    pub fn incoming(&self, entry: Entry, expected: Expected) -> Incoming {
        Incoming {
            // Only a live session has to recognise repeated deliveries.
            id: 0,
            video: self.video,
            entry,
            kind: self.kind,
            watch_ms: self.watch_ms,
            at_ms: self.at_ms,
            surface: self.surface,
            expected,
        }
    }
}

/// Catalogue, people and events.
pub struct Log {
    /// The catalogue; its statistics are empty.
    pub live: Arc<Live>,
    /// Everybody, by number.
    pub users: Vec<UserId>,
    /// Their profiles.
    pub profiles: Vec<Profile>,
    /// In the order of their application.
    pub events: Vec<Logged>,
    /// Events that were left out because the catalogue does not know their video.
    pub unknown: usize,
    numbers: HashMap<UserId, u32>,
}

impl Log {
    /// Catalogue and people without any event.
    pub async fn without_events(store: &dyn FeatureStore) -> Result<Self, StoreError> {
        let live = Live::default();
        catalogue::load(store, &live).await?;
        let mut log = Self {
            live: Arc::new(live),
            users: Vec::new(),
            profiles: Vec::new(),
            events: Vec::new(),
            unknown: 0,
            numbers: HashMap::new(),
        };
        store
            .scan_users(&mut |(id, user)| {
                let number = log.number(&id);
                log.profiles[number as usize] = Profile::from(&user);
                Ok(())
            })
            .await?;
        Ok(log)
    }

    /// Everything that happened before `until`.
    pub async fn read(store: &dyn FeatureStore, until: Option<Timestamp>) -> Result<Self, StoreError> {
        let mut log = Self::without_events(store).await?;
        store
            .scan_activity(&mut |activity| {
                if until.is_none_or(|until| activity.event.at < until) {
                    log.push(&activity.event, Some((activity.expected, activity.seq)), activity.order);
                }
                Ok(())
            })
            .await?;
        log.sort();
        Ok(log)
    }

    /// Adds an event, with what was expected of it and its number when it was applied, if it was; `false` where the catalogue
    /// does not know its video. [`Log::sort`] follows.
    pub fn push(&mut self, event: &Event, applied: Option<(Expected, u64)>, order: u64) -> bool {
        let Some(video) = self.live.catalogue().find(&event.video) else {
            self.unknown += 1;
            return false;
        };
        let user = self.number(&event.user);
        self.events.push(Logged {
            user,
            video,
            at_ms: event.at.millis(),
            watch_ms: event.watch_ms.unwrap_or(0),
            surface: self.live.surface(event.surface.as_deref()),
            kind: event.kind,
            in_context: event.surface.is_some() || event.feed.is_some(),
            expected: applied.map(|(expected, _)| expected),
            seq: applied.map_or(0, |(_, seq)| seq),
            order,
        });
        true
    }

    /// Puts the events into the order of their application. Where several nodes applied them, each by its own numbers, they are
    /// put into the order of time, and those of one person into the order of their application.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| event.order);
        if self.events.windows(2).all(|pair| pair[0].order < pair[1].order) {
            return;
        }
        self.events.sort_by_key(|event| (event.user, event.seq));
        let mut latest = (u32::MAX, i64::MIN);
        let mut keyed: Vec<(i64, Logged)> = Vec::with_capacity(self.events.len());
        for event in self.events.drain(..) {
            let before = if latest.0 == event.user { latest.1 } else { i64::MIN };
            latest = (event.user, before.max(event.at_ms));
            keyed.push((latest.1, event));
        }
        // Stable: one person's events at one instant stay as they are.
        keyed.sort_by_key(|(at, _)| *at);
        self.events = keyed.into_iter().map(|(_, event)| event).collect();
    }

    /// The number of a person, given now if they are new.
    pub fn number(&mut self, user: &UserId) -> u32 {
        if let Some(number) = self.numbers.get(user) {
            return *number;
        }
        let number = self.users.len() as u32;
        self.users.push(user.clone());
        self.profiles.push(Profile::default());
        self.numbers.insert(user.clone(), number);
        number
    }
}
