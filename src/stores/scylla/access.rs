//! Keys, and who did what.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use foryou_actors::ports::{
    access::{AccessStore, Admitted, ApiKey, Scope},
    audit::{AuditLine, AuditLog, Outcome},
    store::StoreError,
};
use foryou_schemas::Timestamp;
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::{DeserializeRow, value::CqlTimestamp};

use super::{ScyllaStore, batches::CONCURRENCY, columns::time, people::one};

const DAY_MS: i64 = 86_400_000;

#[derive(DeserializeRow)]
struct KeyRow {
    id: String,
    hash: Option<Vec<u8>>,
    name: Option<String>,
    scopes: Option<HashSet<String>>,
    created_at: Option<CqlTimestamp>,
    expires_at: Option<CqlTimestamp>,
    revoked_at: Option<CqlTimestamp>,
}

impl KeyRow {
    fn read(self) -> Result<ApiKey, StoreError> {
        let broken = || StoreError::Corrupt(format!("key {} lacks its hash or its time", self.id));
        let hash = self.hash.as_deref().and_then(|hash| hash.try_into().ok()).ok_or_else(broken)?;
        let created_at = time(self.created_at.ok_or_else(broken)?)?;
        Ok(ApiKey {
            hash,
            created_at,
            id: self.id.into(),
            name: self.name.unwrap_or_default().into(),
            // One that a newer foryou knows lets nobody do anything here.
            scopes: self.scopes.iter().flatten().filter_map(|name| Scope::parse(name).ok()).collect(),
            expires_at: self.expires_at.map(time).transpose()?,
            revoked_at: self.revoked_at.map(time).transpose()?,
        })
    }
}

#[async_trait]
impl AccessStore for ScyllaStore {
    async fn admitted(&self) -> Result<Admitted, StoreError> {
        let to = &*self.shared.link.get()?;
        let keys = self.shared.rows::<KeyRow>(to, &to.on.keys, ()).await?;
        let keys = keys.and_then(|row| std::future::ready(row.read())).try_collect().await?;
        let ended = self.shared.rows::<(String,)>(to, &to.on.ended_sessions, ()).await?;
        Ok(Admitted { keys, ended: ended.map_ok(|(id,)| id.into()).try_collect().await? })
    }

    async fn put_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let link = &self.shared.link;
        let to = link.get()?;
        let values = (
            &*key.id,
            key.hash.as_slice(),
            &*key.name,
            key.scopes.names(),
            CqlTimestamp(key.created_at.millis()),
            key.expires_at.map(|at| CqlTimestamp(at.millis())),
            self.shared.clock.next(),
        );
        to.session.execute_unpaged(&to.on.put_key, values).await.map_err(|error| link.failed(error))?;
        Ok(())
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let link = &self.shared.link;
        let to = link.get()?;
        let there = one::<(Option<Vec<u8>>, Option<CqlTimestamp>)>(&to.session, &to.on.key, (id,)).await;
        match there.map_err(|error| link.failed(error))? {
            None | Some((None, _)) => Ok(false),
            Some((_, Some(_))) => Ok(true),
            Some((_, None)) => {
                let values = (self.shared.clock.next(), CqlTimestamp(at.millis()), id);
                to.session.execute_unpaged(&to.on.revoke_key, values).await.map_err(|error| link.failed(error))?;
                Ok(true)
            }
        }
    }

    async fn end_session(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        let Some(ttl) = ttl(until) else { return Ok(()) };
        let link = &self.shared.link;
        let to = link.get()?;
        let values = (id, self.shared.clock.next(), ttl);
        to.session.execute_unpaged(&to.on.end_session, values).await.map_err(|error| link.failed(error))?;
        Ok(())
    }
}

/// Whole seconds until then; none where it has passed.
fn ttl(until: Timestamp) -> Option<i32> {
    let left = (until.millis() - Timestamp::now().millis()).max(0);
    i32::try_from((left + 999) / 1_000).ok().filter(|left| *left > 0)
}

/// The audit log in the store that nodes share.
pub struct ScyllaAudit {
    store: Arc<ScyllaStore>,
    days: u32,
}

impl ScyllaAudit {
    /// In a store; lines are kept for so many days.
    pub fn new(store: Arc<ScyllaStore>, days: u32) -> Self {
        Self { store, days }
    }

    fn first_day(&self) -> i32 {
        day(Timestamp::now()) - i32::try_from(self.days).unwrap_or(i32::MAX)
    }

    async fn of_day(&self, day: i32, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        let link = &self.store.shared.link;
        let to = &*link.get()?;
        // `:` comes after every digit that an id has.
        let values = (day, before.unwrap_or(":"), i32::try_from(limit).unwrap_or(i32::MAX));
        let rows = self.store.shared.rows::<LineRow>(to, &to.on.audit, values).await?;
        rows.and_then(|row| std::future::ready(row.read())).try_collect().await
    }
}

#[derive(DeserializeRow)]
struct LineRow {
    id: String,
    at: CqlTimestamp,
    who: String,
    origin: String,
    action: String,
    target: String,
    outcome: String,
    detail: String,
}

impl LineRow {
    fn read(self) -> Result<AuditLine, StoreError> {
        Ok(AuditLine {
            id: self.id.into(),
            at: time(self.at)?,
            who: self.who.into(),
            from: self.origin.into(),
            action: self.action.into(),
            on: self.target.into(),
            outcome: Outcome::parse(&self.outcome)?,
            detail: self.detail.into(),
        })
    }
}

fn day(at: Timestamp) -> i32 {
    i32::try_from(at.millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// The day in an id: its first 48 bits are milliseconds.
fn day_of(id: &str) -> Option<i32> {
    i64::from_str_radix(id.get(..12)?, 16).ok().map(|millis| millis.div_euclid(DAY_MS) as i32)
}

#[async_trait]
impl AuditLog for ScyllaAudit {
    async fn append(&self, line: &AuditLine) -> Result<(), StoreError> {
        let Some(ttl) = ttl(line.at.plus_millis(i64::from(self.days) * DAY_MS)) else { return Ok(()) };
        let link = &self.store.shared.link;
        let to = link.get()?;
        let AuditLine { id, at, who, from, action, on, outcome, detail } = line;
        let (at_ms, written) = (CqlTimestamp(at.millis()), self.store.shared.clock.next());
        let word = outcome.word();
        let values = (day(*at), &**id, at_ms, &**who, &**from, &**action, &**on, word, &**detail, written, ttl);
        to.session.execute_unpaged(&to.on.put_audit, values).await.map_err(|error| link.failed(error))?;
        Ok(())
    }

    async fn latest(&self, before: Option<&str>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        let newest = before.and_then(day_of).unwrap_or_else(|| day(Timestamp::now()) + 1);
        let days = stream::iter((self.first_day()..=newest).rev());
        let mut days = std::pin::pin!(days.map(|day| self.of_day(day, before, limit)).buffered(CONCURRENCY));
        let mut latest = Vec::new();
        while latest.len() < limit
            && let Some(lines) = days.try_next().await?
        {
            latest.extend(lines);
        }
        latest.truncate(limit);
        Ok(latest)
    }
}
