//! Model releases: rows that name them, their files in parts, and which one is active.

use foryou_actors::ports::store::StoreError;
use foryou_schemas::Timestamp;
use futures_util::TryStreamExt;
use scylla::value::CqlTimestamp;

use super::{ScyllaStore, errors::DriverError, journal::applied, people::one};
use crate::stores::rows::instant;

/// A release without its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRow {
    /// Its id.
    pub id: String,
    /// When it was written.
    pub created: Timestamp,
    /// `manifest.json`.
    pub manifest: Vec<u8>,
    /// `metrics.json`.
    pub metrics: Vec<u8>,
    /// Whether all its files are there.
    pub whole: bool,
}

type Columns = (String, CqlTimestamp, Vec<u8>, Vec<u8>, bool);

impl ScyllaStore {
    /// Every release.
    pub async fn releases(&self) -> Result<Vec<ReleaseRow>, StoreError> {
        let to = &*self.shared.link.get()?;
        let rows = self.shared.rows::<Columns>(to, &to.on.releases, ()).await?;
        rows.and_then(|row| std::future::ready(read(row))).try_collect().await
    }

    /// One release.
    pub async fn release(&self, id: &str) -> Result<Option<ReleaseRow>, StoreError> {
        let link = &self.shared.link;
        let to = &*link.get()?;
        let row = one::<Columns>(&to.session, &to.on.release, (id,)).await;
        row.map_err(|error| link.failed(error))?.map(read).transpose()
    }

    /// Writes the row of a release.
    pub async fn put_release(&self, row: &ReleaseRow) -> Result<(), StoreError> {
        let to = &*self.shared.link.get()?;
        let created = CqlTimestamp(row.created.millis());
        let values =
            (&*row.id, created, row.manifest.as_slice(), row.metrics.as_slice(), row.whole, self.shared.clock.next());
        self.done(to.session.execute_unpaged(&to.on.put_release, values).await)
    }

    /// Removes the row of a release.
    pub async fn drop_release(&self, id: &str) -> Result<(), StoreError> {
        let to = &*self.shared.link.get()?;
        self.done(to.session.execute_unpaged(&to.on.drop_release, (self.shared.clock.next(), id)).await)
    }

    /// Writes a part of a file.
    pub async fn put_release_part(&self, id: &str, file: &str, part: usize, body: &[u8]) -> Result<(), StoreError> {
        let to = &*self.shared.link.get()?;
        let values = (id, file, part as i32, body, self.shared.clock.next());
        self.done(to.session.execute_unpaged(&to.on.put_release_part, values).await)
    }

    /// A part of a file.
    pub async fn release_part(&self, id: &str, file: &str, part: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let link = &self.shared.link;
        let to = &*link.get()?;
        let row = one::<(Vec<u8>,)>(&to.session, &to.on.release_part, (id, file, part as i32)).await;
        Ok(row.map_err(|error| link.failed(error))?.map(|(body,)| body))
    }

    /// Removes a part of a file.
    pub async fn drop_release_part(&self, id: &str, file: &str, part: usize) -> Result<(), StoreError> {
        let to = &*self.shared.link.get()?;
        let values = (self.shared.clock.next(), id, file, part as i32);
        self.done(to.session.execute_unpaged(&to.on.drop_release_part, values).await)
    }

    /// Which release is active: a number that grows with each change, and the releases, the active one first.
    pub async fn active_release(&self) -> Result<Option<(i64, Vec<String>)>, StoreError> {
        let link = &self.shared.link;
        let to = &*link.get()?;
        let row = one::<(i64, Option<Vec<String>>)>(&to.session, &to.on.active_release, ()).await;
        Ok(row.map_err(|error| link.failed(error))?.map(|(version, history)| (version, history.unwrap_or_default())))
    }

    /// Changes which is active, where nobody else did since it had this version (`None`: it was never set). Says whether it did.
    pub async fn set_active_release(&self, version: Option<i64>, history: &[String]) -> Result<bool, StoreError> {
        let link = &self.shared.link;
        let to = &*link.get()?;
        let set = match version {
            None => to.session.execute_unpaged(&to.on.first_active_release, (history,)).await,
            Some(version) => {
                to.session.execute_unpaged(&to.on.set_active_release, (version + 1, history, version)).await
            }
        };
        Ok(applied(set.map_err(|error| link.failed(error))?)?)
    }

    fn done<T>(&self, done: Result<T, scylla::errors::ExecutionError>) -> Result<(), StoreError> {
        done.map(drop).map_err(|error| self.shared.link.failed(DriverError::from(error)))
    }
}

fn read((id, created, manifest, metrics, whole): Columns) -> Result<ReleaseRow, StoreError> {
    Ok(ReleaseRow { id, created: instant(created.0)?, manifest, metrics, whole })
}
