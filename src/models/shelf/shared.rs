//! The releases of many nodes: rows of the store that they share, each node with a copy of what it uses in its folder.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use foryou_actors::ports::store::StoreError;
use foryou_schemas::Timestamp;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{
    Shelf, Shelved,
    folder::{on, prune},
    superfluous,
};
use crate::{
    models::{Manifest, ModelError, Releases, Summary, files, manifest::FileEntry},
    stores::scylla::{ReleaseRow, ScyllaStore},
};

/// The most bytes of a file that are one row.
const CHUNK: usize = 512 << 10;
/// Rows of a file on their way at a time.
const AT_ONCE: usize = 4;
/// How often a change of the active release is tried again where somebody else changed it meanwhile.
const ATTEMPTS: usize = 16;
/// A release that was not written whole for so long never will be.
const BROKEN_OFF: Duration = Duration::from_secs(3_600);

/// The shelf in the store.
pub struct SharedShelf {
    store: Arc<ScyllaStore>,
    releases: Releases,
    keep: usize,
    /// The version of the active release up to which the folder is.
    synced: Mutex<Option<i64>>,
    /// One download at a time.
    fetching: tokio::sync::Mutex<()>,
}

impl SharedShelf {
    /// Keeps the `keep` newest, there and in the folder `releases`.
    pub fn new(store: Arc<ScyllaStore>, releases: Releases, keep: usize) -> Self {
        Self { store, releases, keep, synced: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Those that are whole, newest first.
    async fn rows(&self) -> Result<Vec<ReleaseRow>, ModelError> {
        let mut rows = self.store.releases().await?;
        rows.retain(|row| row.whole);
        rows.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
        Ok(rows)
    }

    async fn has(&self, id: &str) -> Result<Option<ReleaseRow>, ModelError> {
        Ok(self.store.release(id).await?.filter(|row| row.whole))
    }

    /// Changes the history by `change`, unless that gives `None`; tries again where somebody else was faster.
    async fn change_history<T>(
        &self,
        change: impl Fn(Vec<String>) -> Result<(T, Option<Vec<String>>), ModelError>,
    ) -> Result<T, ModelError> {
        for _attempt in 0..ATTEMPTS {
            let now = self.store.active_release().await?;
            let (version, history) = now.map_or((None, Vec::new()), |(version, history)| (Some(version), history));
            let (answer, history) = change(history)?;
            let Some(mut history) = history else { return Ok(answer) };
            history.truncate(crate::models::releases::HISTORY);
            if self.store.set_active_release(version, &history).await? {
                return Ok(answer);
            }
        }
        Err(ModelError::Away("others keep changing the active release; try again".into()))
    }

    async fn upload(&self, id: &str, path: &Path, name: &str, entry: &FileEntry) -> Result<(), ModelError> {
        let file = path.join(name);
        let bytes = tokio::task::spawn_blocking(move || files::read(&file)).await;
        let bytes = bytes.map_err(|error| ModelError::Away(error.to_string()))??;
        if files::sha256(&bytes) != entry.sha256 {
            return Err(ModelError::refused(
                id,
                format!("{name} does not match its checksum; nothing of it is shared"),
            ));
        }
        let parts = (0..bytes.len().div_ceil(CHUNK)).map(|part| {
            let chunk = &bytes[part * CHUNK..bytes.len().min((part + 1) * CHUNK)];
            self.store.put_release_part(id, name, part, chunk)
        });
        stream::iter(parts).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(())
    }

    async fn download(&self, id: &str, folder: &Path, name: &str, entry: &FileEntry) -> Result<(), ModelError> {
        let refused = |reason: &str| {
            ModelError::refused(id, format!("{name} {reason}; activate it once more where it was trained"))
        };
        if !is_plain(name) {
            return Err(refused("is no name of a file"));
        }
        let path = folder.join(name);
        let io = |error| ModelError::io(&path)(error);
        let mut file = std::fs::File::create(&path).map_err(io)?;
        let (mut hash, mut length) = (Sha256::new(), 0_u64);
        let parts = (0..parts(entry)).map(|part| self.store.release_part(id, name, part));
        let mut parts = std::pin::pin!(stream::iter(parts).buffered(AT_ONCE));
        while let Some(part) = parts.try_next().await? {
            let part = part.ok_or_else(|| refused("is not whole in the store"))?;
            hash.update(&part);
            length += part.len() as u64;
            // Half a megabyte into the page cache.
            file.write_all(&part).map_err(io)?;
        }
        let sum: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if (sum.as_str(), length) != (entry.sha256.as_str(), entry.bytes) {
            return Err(refused("does not match its checksum in the store"));
        }
        let synced = tokio::task::spawn_blocking(move || file.sync_all()).await;
        synced.map_err(|error| ModelError::Away(error.to_string()))?.map_err(io)
    }

    /// Removes a release's rows. The one that names it goes last: should this end before, it still says what is left.
    async fn remove(&self, row: &ReleaseRow) -> Result<(), ModelError> {
        let manifest = read_manifest(row)?;
        for (name, entry) in &manifest.files {
            let parts = (0..parts(entry)).map(|part| self.store.drop_release_part(&row.id, name, part));
            stream::iter(parts).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(self.store.drop_release(&row.id).await?)
    }
}

#[async_trait]
impl Shelf for SharedShelf {
    async fn list(&self) -> Result<Vec<Shelved>, ModelError> {
        let history = self.history().await?;
        let shelved = |row: ReleaseRow| {
            let manifest = read_manifest(&row).ok()?;
            let summary = Summary {
                active: history.first() == Some(&row.id),
                created: manifest.created,
                trained_until: manifest.trained_until,
                videos: manifest.trained_videos,
                metrics: serde_json::from_slice(&row.metrics).unwrap_or_default(),
                id: row.id,
            };
            Some(Shelved { summary, manifest })
        };
        Ok(self.rows().await?.into_iter().filter_map(shelved).collect())
    }

    async fn history(&self) -> Result<Vec<String>, ModelError> {
        Ok(self.store.active_release().await?.map_or_else(Vec::new, |(_, history)| history))
    }

    async fn publish(&self, id: &str) -> Result<(), ModelError> {
        let name = id.to_owned();
        let (path, manifest, bytes, metrics) = on(&self.releases, move |releases| {
            let path = releases.path(&name)?;
            let bytes = files::read(&path.join("manifest.json"))?;
            // It need not have metrics.
            let metrics = std::fs::read(path.join("metrics.json")).unwrap_or_default();
            Ok((path, releases.manifest(&name)?, bytes, metrics))
        })
        .await?;
        if self.has(id).await?.is_some_and(|row| row.manifest == bytes) {
            return Ok(());
        }
        let mut row =
            ReleaseRow { id: id.to_owned(), created: manifest.created, manifest: bytes, metrics, whole: false };
        self.store.put_release(&row).await?;
        for (name, entry) in &manifest.files {
            self.upload(id, &path, name, entry).await?;
        }
        row.whole = true;
        self.store.put_release(&row).await?;
        tracing::info!(release = id, "a release is in the store, for every node");
        Ok(())
    }

    async fn activate(&self, id: &str) -> Result<(), ModelError> {
        if self.has(id).await?.is_none() {
            self.publish(id).await?;
        }
        let first = |mut history: Vec<String>| match history.first().map(String::as_str) == Some(id) {
            true => Ok(((), None)),
            false => {
                history.insert(0, id.to_owned());
                Ok(((), Some(history)))
            }
        };
        self.change_history(first).await?;
        self.sync().await.map(drop)
    }

    async fn rollback(&self) -> Result<String, ModelError> {
        let there: Vec<String> = self.rows().await?.into_iter().map(|row| row.id).collect();
        let id = self.change_history(|history| {
            let before: Vec<String> = history.into_iter().skip(1).filter(|id| there.contains(id)).collect();
            let id = before.first().cloned().ok_or(ModelError::NoneBefore)?;
            Ok((id, Some(before)))
        });
        let id = id.await?;
        self.sync().await?;
        Ok(id)
    }

    async fn fetch(&self, id: &str) -> Result<PathBuf, ModelError> {
        let _one = self.fetching.lock().await;
        let name = id.to_owned();
        let local = on(&self.releases, move |releases| {
            let path = releases.path(&name)?;
            Ok((files::read(&path.join("manifest.json"))?, path))
        });
        let (local, row) = (local.await, self.has(id).await?);
        let row = match (local, row) {
            (Ok((manifest, path)), Some(row)) if manifest == row.manifest => return Ok(path),
            // It was never shared, or is pruned there.
            (Ok((_, path)), None) => return Ok(path),
            (_, Some(row)) => row,
            (Err(error), None) => return Err(error),
        };
        if !is_plain(id) {
            return Err(ModelError::Unknown(id.to_owned()));
        }
        let manifest = read_manifest(&row)?;
        let aside = self.releases.aside(id)?;
        for (name, entry) in &manifest.files {
            self.download(id, &aside, name, entry).await?;
        }
        let (name, bytes) = (id.to_owned(), row.manifest);
        let path = on(&self.releases, move |releases| {
            files::write_synced(&aside.join("manifest.json"), &bytes)?;
            files::sync_folder(&aside)?;
            releases.take_in(&aside, &name)
        })
        .await?;
        tracing::info!(release = id, "a release came out of the store");
        Ok(path)
    }

    async fn sync(&self) -> Result<Option<String>, ModelError> {
        let Some((version, history)) = self.store.active_release().await? else {
            // Nobody has shared one yet: the one that serves here is as good as any.
            let Some(id) = on(&self.releases, Releases::active).await? else { return Ok(None) };
            self.publish(&id).await?;
            let there = vec![id];
            let set = self.store.set_active_release(None, &there).await?;
            tracing::info!(release = there[0], set, "the release of this node is shared, since none was");
            return Ok(None);
        };
        if *self.synced.lock() == Some(version) {
            return Ok(None);
        }
        let Some(id) = history.first().cloned() else { return Ok(None) };
        self.fetch(&id).await?;
        let keep = self.keep;
        let changed = on(&self.releases, move |releases| {
            let changed = releases.history()? != history;
            if changed {
                releases.write_history(&history)?;
            }
            prune(releases, &history, keep)?;
            Ok(changed)
        })
        .await?;
        *self.synced.lock() = Some(version);
        Ok(changed.then_some(id))
    }

    async fn prune(&self) -> Result<Vec<String>, ModelError> {
        let (history, all) = (self.history().await?, self.store.releases().await?);
        let old = Timestamp::now().plus_millis(-(BROKEN_OFF.as_millis() as i64));
        let newest = self.rows().await?.into_iter().map(|row| row.id);
        let superfluous = superfluous(newest, &history, self.keep);
        for row in &all {
            if superfluous.contains(&row.id) || (!row.whole && row.created < old) {
                self.remove(row).await?;
            }
        }
        let keep = self.keep;
        on(&self.releases, move |releases| prune(releases, &history, keep)).await?;
        Ok(superfluous)
    }
}

impl From<StoreError> for ModelError {
    fn from(error: StoreError) -> Self {
        Self::Away(error.to_string())
    }
}

fn read_manifest(row: &ReleaseRow) -> Result<Manifest, ModelError> {
    serde_json::from_slice(&row.manifest)
        .map_err(|error| ModelError::refused(&row.id, format!("its manifest in the store: {error}")))
}

fn parts(entry: &FileEntry) -> usize {
    (entry.bytes as usize).div_ceil(CHUNK)
}

/// Whether a name from the store is a file's name and no path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests;
