//! Keys in one JSON file, which is small and replaced as a whole.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use foryou_actors::ports::{
    access::{AccessStore, Admitted, ApiKey, Scope},
    store::StoreError,
};
use foryou_schemas::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{failed, make_folder, on_disk};
use crate::access::random::{hex, unhex};

/// The layout of the file.
const FORMAT: u32 = 1;

/// Keys in a file. Any number of processes may have it open: one that changes it holds a lock meanwhile.
#[derive(Debug, Clone)]
pub struct KeyFile {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    format: u32,
    keys: Vec<Key>,
    ended: Vec<Ended>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    id: Box<str>,
    sha256: String,
    name: Box<str>,
    scopes: Vec<String>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    session: Box<str>,
    until: Timestamp,
}

impl KeyFile {
    /// In a folder, which is made when there is something to keep.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("keys.json")
    }

    fn read(&self) -> Result<Contents, StoreError> {
        let path = self.path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Contents { format: FORMAT, keys: Vec::new(), ended: Vec::new() });
            }
            Err(error) => return Err(failed(&path)(error)),
        };
        let contents: Contents = serde_json::from_slice(&text).map_err(|error| {
            StoreError::Corrupt(format!(
                "{} does not read ({error}); put it right, or remove it and make new keys",
                path.display()
            ))
        })?;
        match contents.format {
            FORMAT => Ok(contents),
            other => Err(StoreError::Corrupt(format!(
                "{} has format {other}, and this foryou reads format {FORMAT}; start the foryou that wrote it",
                path.display()
            ))),
        }
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Contents) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.clone();
        on_disk(move || {
            make_folder(&file.folder)?;
            let path = file.folder.join("keys.lock");
            let lock = File::options().create(true).append(true).open(&path).map_err(failed(&path))?;
            // Given back when it is closed, or its process ends.
            lock.lock().map_err(failed(&path))?;
            let mut contents = file.read()?;
            let answer = change(&mut contents);
            file.write(&contents)?;
            Ok(answer)
        })
        .await
    }

    /// Puts the new file in the old one's place: a reader finds one or the other.
    fn write(&self, contents: &Contents) -> Result<(), StoreError> {
        let path = self.path();
        let text = serde_json::to_vec_pretty(contents).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        // Only its owner may read it: that is how temporary files are made.
        let mut new = NamedTempFile::new_in(&self.folder).map_err(failed(&self.folder))?;
        new.write_all(&text).and_then(|()| new.as_file().sync_all()).map_err(failed(&path))?;
        new.persist(&path).map_err(|error| failed(&path)(error.error))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&self.folder))
    }
}

impl Key {
    fn read(self) -> Result<ApiKey, StoreError> {
        let hash = unhex(&self.sha256);
        let hash = hash.ok_or_else(|| StoreError::Corrupt(format!("the hash of key {} is none", self.id)))?;
        Ok(ApiKey {
            hash,
            id: self.id,
            name: self.name,
            // One that a newer foryou knows lets nobody do anything here.
            scopes: self.scopes.iter().filter_map(|name| Scope::parse(name).ok()).collect(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
        })
    }
}

impl From<&ApiKey> for Key {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            sha256: hex(&key.hash),
            name: key.name.clone(),
            scopes: key.scopes.names().into_iter().map(str::to_owned).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

#[async_trait]
impl AccessStore for KeyFile {
    async fn admitted(&self) -> Result<Admitted, StoreError> {
        let file = self.clone();
        on_disk(move || {
            let contents = file.read()?;
            let mut keys = contents.keys.into_iter().map(Key::read).collect::<Result<Vec<_>, _>>()?;
            keys.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(Admitted { keys, ended: contents.ended.into_iter().map(|ended| ended.session).collect() })
        })
        .await
    }

    async fn put_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = Key::from(key);
        self.change(move |contents| contents.keys.push(key)).await
    }

    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let id: Box<str> = id.into();
        self.change(move |contents| match contents.keys.iter_mut().find(|key| key.id == id) {
            Some(key) => {
                key.revoked_at.get_or_insert(at);
                true
            }
            None => false,
        })
        .await
    }

    async fn end_session(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        let (now, session) = (Timestamp::now(), Box::from(id));
        self.change(move |contents| {
            contents.ended.retain(|ended| ended.until > now && ended.session != session);
            contents.ended.push(Ended { session, until });
        })
        .await
    }
}
