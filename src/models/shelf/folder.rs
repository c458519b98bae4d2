//! The releases of a single node: its folder.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{Shelf, Shelved, superfluous};
use crate::models::{ModelError, Releases};

/// [`Releases`], kept to a number of them.
pub struct FolderShelf {
    releases: Releases,
    keep: usize,
}

impl FolderShelf {
    /// Keeps the `keep` newest.
    pub fn new(releases: Releases, keep: usize) -> Self {
        Self { releases, keep }
    }

    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Releases) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        on(&self.releases, work).await
    }
}

/// Works on a folder of releases, away from the async threads.
pub async fn on<T: Send + 'static>(
    releases: &Releases,
    work: impl FnOnce(&Releases) -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    let releases = releases.clone();
    let done = tokio::task::spawn_blocking(move || work(&releases)).await;
    done.unwrap_or_else(|error| Err(ModelError::Away(error.to_string())))
}

/// Removes what is superfluous in a folder.
pub fn prune(releases: &Releases, history: &[String], keep: usize) -> Result<Vec<String>, ModelError> {
    let newest = releases.list()?.into_iter().map(|summary| summary.id);
    let old = superfluous(newest, history, keep);
    old.iter().try_for_each(|id| releases.remove(id))?;
    Ok(old)
}

#[async_trait]
impl Shelf for FolderShelf {
    async fn list(&self) -> Result<Vec<Shelved>, ModelError> {
        self.on(|releases| {
            let all = releases.list()?.into_iter();
            Ok(all
                .filter_map(|summary| Some(Shelved { manifest: releases.manifest(&summary.id).ok()?, summary }))
                .collect())
        })
        .await
    }

    async fn history(&self) -> Result<Vec<String>, ModelError> {
        self.on(Releases::history).await
    }

    async fn publish(&self, id: &str) -> Result<(), ModelError> {
        self.fetch(id).await.map(drop)
    }

    async fn activate(&self, id: &str) -> Result<(), ModelError> {
        let id = id.to_owned();
        self.on(move |releases| releases.activate(&id)).await
    }

    async fn rollback(&self) -> Result<String, ModelError> {
        self.on(Releases::rollback).await
    }

    async fn fetch(&self, id: &str) -> Result<PathBuf, ModelError> {
        let id = id.to_owned();
        self.on(move |releases| releases.path(&id)).await
    }

    async fn sync(&self) -> Result<Option<String>, ModelError> {
        Ok(None)
    }

    async fn prune(&self) -> Result<Vec<String>, ModelError> {
        let keep = self.keep;
        self.on(move |releases| prune(releases, &releases.history()?, keep)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Folder};
    use super::*;

    struct Own(tempfile::TempDir);

    #[async_trait]
    impl foryou_actors::ports::contract::Subject for Own {
        type Port = Folder;
        async fn open(&self) -> Folder {
            let releases = Releases::new(self.0.path());
            Folder { shelf: Box::new(FolderShelf::new(releases.clone(), contract::KEEP)), releases }
        }
    }

    fn fresh() -> Own {
        Own(tempfile::tempdir().unwrap())
    }

    crate::models::shelf::contract::shelf_contract!(fresh);
}
