//! Reads of one person.

use std::collections::{HashMap, HashSet};

use foryou_actors::ports::store::{Activity, StoreError, StoredSession};
use foryou_schemas::{User, UserId};
use futures_util::future::try_join_all;
use scylla::{
    DeserializeRow, client::session::Session, serialize::row::SerializeRow, statement::prepared::PreparedStatement,
};

use super::{Shared, clock::Clock, columns::ProfileColumns, errors::DriverError, link::Connected};
use crate::stores::rows;

/// What there is of a person.
#[derive(Default)]
pub struct Presence {
    /// A profile was told.
    pub told: bool,
    /// Days of activity.
    pub days: Vec<i32>,
    /// Days of impressions.
    pub feed_days: Vec<i32>,
}

#[derive(DeserializeRow)]
struct PresenceRow {
    told: Option<bool>,
    days: Option<HashMap<i32, i64>>,
    feed_days: Option<HashSet<i32>>,
}

/// The one row that a statement finds, if any.
pub async fn one<T>(
    session: &Session,
    statement: &PreparedStatement,
    values: impl SerializeRow,
) -> Result<Option<T>, DriverError>
where
    T: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
{
    let rows = session.execute_unpaged(statement, values).await?.into_rows_result().map_err(DriverError::answer)?;
    rows.maybe_first_row().map_err(DriverError::answer)
}

/// What there is of a person.
pub async fn presence(to: &Connected, user: &UserId) -> Result<Presence, DriverError> {
    let row = one::<PresenceRow>(&to.session, &to.on.presence, (user.as_str(),)).await?;
    Ok(row.map_or_else(Presence::default, |row| Presence {
        told: row.told.unwrap_or(false),
        days: row.days.unwrap_or_default().into_keys().collect(),
        feed_days: row.feed_days.unwrap_or_default().into_iter().collect(),
    }))
}

/// A person's snapshot: number of the latest event in it, bytes.
pub async fn snapshot(to: &Connected, user: &UserId, clock: &Clock) -> Result<Option<(i64, Vec<u8>)>, DriverError> {
    let row = one::<(i64, Vec<u8>, i64)>(&to.session, &to.on.snapshot, (user.as_str(),)).await?;
    Ok(row.map(|(seq, snapshot, written)| {
        // Another node may have written it, with a clock ahead of this one: what is written here now is later.
        clock.saw(written);
        (seq, snapshot)
    }))
}

/// A person's profile, and the days of activity: in order, each with the number of an early event.
async fn profile(
    shared: &Shared,
    to: &Connected,
    user: &UserId,
) -> Result<(Option<User>, Vec<(i32, i64)>), StoreError> {
    let row = one::<ProfileColumns>(&to.session, &to.on.profile, (user.as_str(),)).await;
    let Some(mut row) = row.map_err(|error| shared.link.failed(error))? else { return Ok((None, Vec::new())) };
    let mut days: Vec<_> = row.days.take().unwrap_or_default().into_iter().collect();
    days.sort_unstable();
    Ok((row.read()?, days))
}

impl Shared {
    /// A profile; an empty one for somebody known by events only.
    pub async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        let (profile, days) = profile(self, &*self.link.get()?, user).await?;
        Ok(profile.or_else(|| (!days.is_empty()).then(User::default)))
    }

    /// What a session is rebuilt from: profile, snapshot and creators at once, then the days with later events at once.
    pub async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> {
        let to = &*self.link.get()?;
        self.noted.lock().forget(user);
        let stored = async { snapshot(to, user, &self.clock).await.map_err(|error| self.link.failed(error)) };
        let creators = self.creators_of(to, user);
        let ((profile, days), stored, creators) = futures_util::try_join!(profile(self, to, user), stored, creators)?;
        let (after, snapshot) = stored.map_or((0, None), |(seq, snapshot)| (seq, Some(snapshot)));
        let tail = self.tail(to, user, &days, after).await?;
        Ok(StoredSession { snapshot, profile, tail, creators })
    }

    /// Events after number `after`, in order.
    pub async fn tail(
        &self,
        to: &Connected,
        user: &UserId,
        days: &[(i32, i64)],
        after: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        // A day is over where a later one begins.
        let later = |n: usize| days[n + 1..].iter().map(|(_, first)| *first).min();
        let wanted = (0..days.len()).filter(|n| later(*n).is_none_or(|first| first > after + 1));
        let reads = wanted.map(|n| self.events(to, &to.on.tail, (user.as_str(), days[n].0, after), user));
        let mut tail = try_join_all(reads).await?.concat();
        tail.sort_by_key(|activity| activity.seq);
        Ok(tail)
    }

    /// The latest events, newest first.
    pub async fn history(&self, user: &UserId, limit: usize) -> Result<Vec<Activity>, StoreError> {
        let to = &*self.link.get()?;
        let (_, days) = profile(self, to, user).await?;
        let mut newest = Vec::new();
        for (day, _) in days.into_iter().rev() {
            let left = i32::try_from(limit - newest.len()).unwrap_or(i32::MAX);
            if left == 0 {
                break;
            }
            newest.extend(self.events(to, &to.on.newest, (user.as_str(), day, left), user).await?);
        }
        Ok(newest)
    }

    async fn events(
        &self,
        to: &Connected,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        user: &UserId,
    ) -> Result<Vec<Activity>, StoreError> {
        let pages =
            to.session.execute_iter(statement.clone(), values).await.map_err(|error| self.link.failed(error))?;
        let mut events = Vec::new();
        let rows = pages.rows_stream::<(i64, Vec<u8>)>();
        let mut rows = rows.map_err(|error| self.link.failed(DriverError::answer(error)))?;
        while let Some(row) = futures_util::StreamExt::next(&mut rows).await {
            let (seq, event) = row.map_err(|error| self.link.failed(error))?;
            events.push(rows::read_activity(user.clone(), seq as u64, &event)?);
        }
        Ok(events)
    }
}
