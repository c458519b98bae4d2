//! Events that could not be applied, by day, newest first.

use foryou_actors::{
    ports::{quarantine::Rejected, store::StoreError},
    sessions::state::event_hash,
};
use foryou_schemas::{Timestamp, UserId};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{ScyllaStore, Shared, clock, errors::DriverError, journal::applied, link::Connected, people::one};

/// Numbers of one millisecond.
const PER_MS: i64 = 1_000;
const DAY: i64 = 86_400_000 * PER_MS;
/// Days that are asked at a time.
const DAYS_AT_ONCE: usize = 16;
/// How long it is known that a person was erased: an event about them may still be on its way here.
const ERASED_S: i32 = 86_400;

/// An event that is to be kept.
pub struct Aside {
    /// When it was put aside.
    pub at: Timestamp,
    /// The partition it came through.
    pub partition: u16,
    /// How often it had been delivered before.
    pub redelivered: u32,
    /// Why it cannot be applied.
    pub reason: String,
    /// The event as it was published.
    pub payload: Vec<u8>,
}

type Columns = (i64, i32, i32, String, Vec<u8>);

impl ScyllaStore {
    /// Keeps an event. The same event put aside at the same time is kept once, however often it comes.
    pub async fn keep_rejected(&self, aside: &Aside) -> Result<(), StoreError> {
        let (shared, link) = (&*self.shared, &self.shared.link);
        let to = &*link.get()?;
        // What has waited longer than it would be kept counts as of now.
        let now = Timestamp::now().millis();
        let at = aside.at.millis().clamp(now - i64::from(shared.kept.rejected_s) * 500, now);
        let slot = event_hash(&String::from_utf8_lossy(&aside.payload)) % PER_MS as u64;
        let mut id = at * PER_MS + slot as i64;
        let (partition, redelivered) = (i32::from(aside.partition), aside.redelivered as i32);
        let payload = aside.payload.as_slice();
        let user = rejected(0, 0, 0, String::new(), aside.payload.clone()).user();
        loop {
            if let Some(user) = &user {
                let values = (user.as_str(), id, shared.kept.rejected_s);
                let noted = to.session.execute_unpaged(&to.on.note_rejected, values).await;
                noted.map_err(|error| link.failed(error))?;
            }
            let values = (day(id), id, partition, redelivered, &*aside.reason, payload, shared.kept.rejected_s);
            let put = to.session.execute_unpaged(&to.on.put_rejected, values).await;
            if applied(put.map_err(|error| link.failed(error))?)?
                || shared.rejected(to, id).await?.is_some_and(|there| there.payload == aside.payload)
            {
                break;
            }
            // Another event has the number.
            id += 1;
        }
        // An erasure says so first and looks then; here it is the other way round, so one of the two sees the other.
        let Some(user) = user else { return Ok(()) };
        let erased = one::<(i64,)>(&to.session, &to.on.rejected_erased, (user.as_str(),)).await;
        let erased = erased.map_err(|error| link.failed(error))?.is_some_and(|(until,)| at <= -until / PER_MS);
        if erased { self.forget_rejected(id as u64).await.map(drop) } else { Ok(()) }
    }

    /// Up to `limit` events, newest first, those before `before` whose reason holds a text.
    pub async fn rejected(
        &self,
        before: Option<u64>,
        reason: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rejected>, StoreError> {
        let shared = &*self.shared;
        let to = &*shared.link.get()?;
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        let mut found = Vec::new();
        let days = stream::iter(shared.rejected_days().filter(|day| i64::from(*day) * DAY < before));
        // Of days that hold nothing many are asked at once; a page is small.
        let mut days =
            std::pin::pin!(days.map(|day| shared.rejected_on(to, day, before, reason, limit)).buffered(DAYS_AT_ONCE));
        while found.len() < limit
            && let Some(some) = days.try_next().await?
        {
            found.extend(some);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One event.
    pub async fn one_rejected(&self, id: u64) -> Result<Option<Rejected>, StoreError> {
        let to = &*self.shared.link.get()?;
        self.shared.rejected(to, id as i64).await
    }

    /// Forgets one event; `false` where there was none.
    pub async fn forget_rejected(&self, id: u64) -> Result<bool, StoreError> {
        let link = &self.shared.link;
        let (to, id) = (&*link.get()?, id as i64);
        let dropped = to.session.execute_unpaged(&to.on.drop_rejected, (day(id), id)).await;
        Ok(applied(dropped.map_err(|error| link.failed(error))?)?)
    }

    /// Forgets everything about one person.
    pub async fn forget_rejected_of(&self, user: &UserId) -> Result<(), StoreError> {
        let link = &self.shared.link;
        let to = &*link.get()?;
        let values = (user.as_str(), -Timestamp::now().millis() * PER_MS, ERASED_S);
        let noted = to.session.execute_unpaged(&to.on.note_rejected, values).await;
        noted.map_err(|error| link.failed(error))?;
        let ids: Vec<_> =
            self.shared.rows::<(i64,)>(to, &to.on.rejected_of, (user.as_str(),)).await?.try_collect().await?;
        for (id,) in ids {
            self.forget_rejected(id as u64).await?;
        }
        let forgotten = to.session.execute_unpaged(&to.on.drop_rejected_of, (user.as_str(),)).await;
        forgotten.map(drop).map_err(|error| link.failed(error))
    }

    /// How many there are.
    pub async fn count_rejected(&self) -> Result<u64, StoreError> {
        let shared = &*self.shared;
        let to = &*shared.link.get()?;
        let counts =
            stream::iter(shared.rejected_days()).map(|day| shared.count_on(to, day)).buffer_unordered(DAYS_AT_ONCE);
        counts.try_fold(0, async |sum, count| Ok(sum + count)).await
    }

    /// Forgets the oldest beyond `max`; returns how many they were.
    pub async fn trim_rejected(&self, max: u64) -> Result<u64, StoreError> {
        let shared = &*self.shared;
        let to = &*shared.link.get()?;
        let (mut left, mut forgotten) = (max, 0);
        for day in shared.rejected_days() {
            let count = shared.count_on(to, day).await?;
            if count > left {
                let keep = i32::try_from(left).unwrap_or(i32::MAX).max(1);
                let ids: Vec<_> =
                    shared.rows::<(i64,)>(to, &to.on.rejected_ids, (day, keep)).await?.try_collect().await?;
                let oldest = if left == 0 { i64::MAX } else { ids.last().map_or(i64::MIN, |(id,)| *id) };
                let at = shared.clock.next();
                let dropped = to.session.execute_unpaged(&to.on.drop_rejected_before, (at, day, oldest)).await;
                dropped.map_err(|error| shared.link.failed(error))?;
                forgotten += count - left;
            }
            left = left.saturating_sub(count);
        }
        Ok(forgotten)
    }
}

impl Shared {
    /// The days that may hold some, latest first: from tomorrow on, since another machine's clock may be ahead.
    fn rejected_days(&self) -> impl Iterator<Item = i32> + use<> {
        let today = clock::day(Timestamp::now().millis() * 1_000);
        let days = self.kept.rejected_s / 86_400 + 1;
        (today - days..=today + 1).rev()
    }

    async fn rejected_on(
        &self,
        to: &Connected,
        day: i32,
        before: i64,
        reason: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rejected>, StoreError> {
        let rows = self.rows::<Columns>(to, &to.on.rejected, (day, before)).await?;
        let events = rows.map_ok(|(id, partition, redelivered, reason, payload)| {
            rejected(id, partition, redelivered, reason, payload)
        });
        let fits = |event: &Rejected| reason.is_none_or(|reason| event.is_about(reason));
        events.try_filter(|event| std::future::ready(fits(event))).take(limit).try_collect().await
    }

    async fn rejected(&self, to: &Connected, id: i64) -> Result<Option<Rejected>, StoreError> {
        let row = one::<Columns>(&to.session, &to.on.one_rejected, (day(id), id)).await;
        let row = row.map_err(|error: DriverError| self.link.failed(error))?;
        Ok(row
            .map(|(id, partition, redelivered, reason, payload)| rejected(id, partition, redelivered, reason, payload)))
    }

    async fn count_on(&self, to: &Connected, day: i32) -> Result<u64, StoreError> {
        let row = one::<(i64,)>(&to.session, &to.on.count_rejected, (day,)).await;
        Ok(row.map_err(|error| self.link.failed(error))?.map_or(0, |(count,)| count as u64))
    }
}

fn day(id: i64) -> i32 {
    id.div_euclid(DAY) as i32
}

fn rejected(id: i64, partition: i32, redelivered: i32, reason: String, payload: Vec<u8>) -> Rejected {
    Rejected {
        id: id as u64,
        at: Timestamp::from_millis(id / PER_MS),
        partition: partition as u16,
        redelivered: redelivered as u32,
        reason,
        payload,
    }
}
