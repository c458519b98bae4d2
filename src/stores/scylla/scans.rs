//! Reads of everything, page by page.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
};

use foryou_actors::{
    ports::store::{Activity, Impression, StoreError, Visit},
    statistics::TallyKey,
};
use foryou_schemas::{FeedId, User, UserId, Video, VideoId};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use scylla::{
    deserialize::row::DeserializeRow as Row, serialize::row::SerializeRow, statement::prepared::PreparedStatement,
    value::CqlTimestamp,
};

use super::{
    Shared,
    columns::{ProfileColumns, VideoColumns, time},
    entry::TALLY_SHARDS,
    errors::DriverError,
    link::Connected,
};
use crate::stores::rows::{self, id};

/// People (partitions) whose rows are fetched ahead of the one that is visited.
const AHEAD: usize = 16;

impl Shared {
    pub async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> {
        let to = &*self.link.get()?;
        let rows = self.rows::<VideoColumns>(to, &to.on.videos, ()).await?;
        rows.try_for_each(|row| ready(row.read().and_then(&mut *visit))).await
    }

    pub async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> {
        let to = &*self.link.get()?;
        let rows = self.rows::<ProfileColumns>(to, &to.on.profiles, ()).await?;
        let mut one = |mut row: ProfileColumns| {
            let id = user(&std::mem::take(&mut row.user))?;
            row.read()?.map_or(Ok(()), |profile| visit((id, profile)))
        };
        rows.try_for_each(|row| ready(one(row))).await
    }

    /// In the order of people's tokens: some people's rows are fetched ahead.
    pub async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> {
        let to = &*self.link.get()?;
        let people = self.rows::<(String, Option<HashMap<i32, i64>>)>(to, &to.on.people, ()).await?;
        let events = people.map(|row| self.events_of(to, row).boxed()).buffered(AHEAD);
        events.try_for_each(|events| ready(events.into_iter().try_for_each(&mut *visit))).await
    }

    /// As [`Shared::scan_activity`].
    pub async fn scan_impressions(&self, visit: Visit<'_, Impression>) -> Result<(), StoreError> {
        let to = &*self.link.get()?;
        let people = self.rows::<(String, Option<HashSet<i32>>)>(to, &to.on.served_people, ()).await?;
        let feeds = people.map(|row| self.feeds_of(to, row).boxed()).buffered(AHEAD);
        feeds.try_for_each(|feeds| ready(feeds.into_iter().try_for_each(&mut *visit))).await
    }

    async fn events_of(
        &self,
        to: &Connected,
        row: Result<(String, Option<HashMap<i32, i64>>), StoreError>,
    ) -> Result<Vec<Activity>, StoreError> {
        let (name, days) = row?;
        let mut days: Vec<_> = days.unwrap_or_default().into_iter().collect();
        days.sort_unstable();
        self.tail(to, &user(&name)?, &days, 0).await
    }

    async fn feeds_of(
        &self,
        to: &Connected,
        row: Result<(String, Option<HashSet<i32>>), StoreError>,
    ) -> Result<Vec<Impression>, StoreError> {
        let (name, days) = row?;
        let mut days: Vec<i32> = days.unwrap_or_default().into_iter().collect();
        days.sort_unstable();
        let mut feeds = Vec::new();
        for day in days {
            let mut rows =
                std::pin::pin!(self.rows::<(CqlTimestamp, String, Vec<u8>)>(to, &to.on.feeds, (&name, day)).await?);
            while let Some((at, feed, record)) = rows.try_next().await? {
                let (user, feed) = (user(&name)?, id(&feed, FeedId::new)?);
                feeds.push(Impression { user, at: time(at)?, feed, record });
            }
        }
        Ok(feeds)
    }

    async fn tallies_of(&self, to: &Connected, owner: &str, shard: i32) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.rows(to, &to.on.tallies, (owner, shard)).await?.try_collect().await
    }

    /// The tallies of one owner, those that are only in its journal included. Returns up to which order number they count.
    pub async fn scan_tallies_of(&self, owner: &str, visit: Visit<'_, (TallyKey, Vec<u8>)>) -> Result<u64, StoreError> {
        let to = &*self.link.get()?;
        let (order, mut behind) = self.journals().behind(owner).await?;
        let shards = stream::iter(0..TALLY_SHARDS).map(|shard| self.tallies_of(to, owner, shard).boxed());
        let mut one = |(key, tally): (Vec<u8>, Vec<u8>)| {
            let tally = behind.remove(&key).map_or(tally, |(_, latest)| latest);
            visit((rows::read_tally_key(&key)?, tally))
        };
        let shards = shards.buffered(AHEAD);
        shards.try_for_each(|rows| ready(rows.into_iter().try_for_each(&mut one))).await?;
        behind.into_iter().try_for_each(|(key, (_, tally))| visit((rows::read_tally_key(&key)?, tally)))?;
        Ok(order)
    }

    /// Everybody who ever wrote.
    pub async fn owners(&self) -> Result<Vec<Box<str>>, StoreError> {
        let to = &*self.link.get()?;
        let rows = self.rows::<(String,)>(to, &to.on.owners, ()).await?;
        rows.map_ok(|(owner,)| owner.into()).try_collect().await
    }

    /// The rows that a statement finds.
    pub async fn rows<T>(
        &self,
        to: &Connected,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<impl Stream<Item = Result<T, StoreError>> + Send, StoreError>
    where
        T: for<'frame, 'metadata> Row<'frame, 'metadata> + Send + 'static,
    {
        let pages =
            to.session.execute_iter(statement.clone(), values).await.map_err(|error| self.link.failed(error))?;
        let rows = pages.rows_stream::<T>().map_err(|error| self.link.failed(DriverError::answer(error)))?;
        Ok(rows.map_err(|error| self.link.failed(error)))
    }
}

fn user(name: &str) -> Result<UserId, StoreError> {
    id(name, UserId::new)
}
