//! The folder of all releases, and which of them is active.

use std::{
    fs,
    path::{Path, PathBuf},
};

use foryou_schemas::Timestamp;
use serde::Serialize;

use super::{Manifest, ModelError, Release, files};

/// How many activations are remembered for rollback.
pub(super) const HISTORY: usize = 20;

/// `DATA/releases`.
#[derive(Debug, Clone)]
pub struct Releases {
    root: PathBuf,
}

/// A release as `foryou release list` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Whether it is the one that serves.
    pub active: bool,
    /// When it was written.
    pub created: Timestamp,
    /// Events before this instant were trained on.
    pub trained_until: Timestamp,
    /// Videos with a vector of their own.
    pub videos: usize,
    /// Offline metrics.
    pub metrics: serde_json::Value,
}

impl Releases {
    /// The releases below a data folder, which need not exist yet.
    pub fn new(data: &Path) -> Self {
        Self { root: data.join("releases") }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a release lies. An id with a path in it is unknown.
    pub fn path(&self, id: &str) -> Result<PathBuf, ModelError> {
        let plain = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\\', '\0']);
        let path = self.root.join(id);
        if plain && path.join("manifest.json").is_file() { Ok(path) } else { Err(ModelError::Unknown(id.to_owned())) }
    }

    /// A release's manifest.
    pub fn manifest(&self, id: &str) -> Result<Manifest, ModelError> {
        let bytes = files::read(&self.path(id)?.join("manifest.json"))?;
        serde_json::from_slice(&bytes).map_err(|e| ModelError::refused(id, format!("manifest.json: {e}")))
    }

    /// One release in short.
    pub fn show(&self, id: &str) -> Result<Summary, ModelError> {
        let manifest = self.manifest(id)?;
        let metrics = fs::read(self.path(id)?.join("metrics.json")).ok();
        let metrics = metrics.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Summary {
            active: self.active()?.as_deref() == Some(id),
            created: manifest.created,
            trained_until: manifest.trained_until,
            videos: manifest.trained_videos,
            metrics,
            id: manifest.id,
        })
    }

    /// All releases, newest first. One whose manifest cannot be read is left out.
    pub fn list(&self) -> Result<Vec<Summary>, ModelError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(ModelError::io(&self.root)(e)),
        };
        let ids = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut all: Vec<Summary> = ids.filter_map(|id| self.show(&id).ok()).collect();
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
        Ok(all)
    }

    /// The active release's id.
    pub fn active(&self) -> Result<Option<String>, ModelError> {
        Ok(self.history()?.into_iter().next())
    }

    /// The release that is asked for by name, else the active one.
    pub fn named_or_active(&self, name: Option<&str>) -> Result<String, ModelError> {
        match name {
            Some(name) => Ok(name.to_owned()),
            None => self.active()?.ok_or(ModelError::NoneActive),
        }
    }

    /// Makes a release the active one; running servers swap to it within a second or two.
    pub fn activate(&self, id: &str) -> Result<(), ModelError> {
        self.path(id)?;
        let mut history = self.history()?;
        if history.first().map(String::as_str) != Some(id) {
            history.insert(0, id.to_owned());
        }
        self.write_history(&history)
    }

    /// Goes back to the release that was active before; returns its id.
    pub fn rollback(&self) -> Result<String, ModelError> {
        let history: Vec<String> = self.history()?.into_iter().skip(1).filter(|id| self.path(id).is_ok()).collect();
        let id = history.first().cloned().ok_or(ModelError::NoneBefore)?;
        self.write_history(&history)?;
        Ok(id)
    }

    /// Loads a release with every check, serves nothing.
    pub fn check(&self, id: &str) -> Result<(), ModelError> {
        Release::load(&self.path(id)?, 1).map(drop)
    }

    /// Removes a release; one that is not there is no error. The caller sees to it that it does not serve.
    pub fn remove(&self, id: &str) -> Result<(), ModelError> {
        let Ok(path) = self.path(id) else { return Ok(()) };
        // Out of sight at once: one that is half gone is none.
        let gone = self.root.join(format!(".{id}.gone"));
        match fs::rename(&path, &gone) {
            // Somebody else was faster.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(ModelError::io(&path))?,
        }
        fs::remove_dir_all(&gone).map_err(ModelError::io(&gone))
    }

    /// An empty folder, out of sight, for a release that comes from elsewhere.
    pub(super) fn aside(&self, id: &str) -> Result<PathBuf, ModelError> {
        let aside = self.root.join(format!(".{id}.{}.tmp", std::process::id()));
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(ModelError::io(&aside))?;
        }
        fs::create_dir_all(&aside).map_err(ModelError::io(&aside))?;
        Ok(aside)
    }

    /// Takes a folder from [`Releases::aside`] in, which is whole now.
    pub(super) fn take_in(&self, aside: &Path, id: &str) -> Result<PathBuf, ModelError> {
        self.remove(id)?;
        let path = self.root.join(id);
        fs::rename(aside, &path).map_err(ModelError::io(&path))?;
        files::sync_folder(&self.root)?;
        Ok(path)
    }

    /// `active`: the active id on the first line, those before it on the next.
    pub(super) fn active_file(&self) -> PathBuf {
        self.root.join("active")
    }

    /// The active release's id, and before it those that were active earlier, the latest first.
    pub fn history(&self) -> Result<Vec<String>, ModelError> {
        match fs::read_to_string(self.active_file()) {
            Ok(text) => Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(ModelError::io(&self.active_file())(e)),
        }
    }

    pub(super) fn write_history(&self, history: &[String]) -> Result<(), ModelError> {
        let lines: Vec<&str> = history.iter().take(HISTORY).map(String::as_str).collect();
        files::write_atomically(&self.active_file(), format!("{}\n", lines.join("\n")).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activation_is_remembered_and_rolled_back() {
        let dir = tempfile::tempdir().unwrap();
        let releases = Releases::new(dir.path());
        assert!(releases.list().unwrap().is_empty() && releases.active().unwrap().is_none());
        for id in ["a", "b"] {
            fs::create_dir_all(releases.root().join(id)).unwrap();
            fs::write(releases.root().join(id).join("manifest.json"), "{}").unwrap();
            releases.activate(id).unwrap();
        }
        releases.activate("b").unwrap();
        assert_eq!(releases.active().unwrap().as_deref(), Some("b"));
        assert_eq!(releases.rollback().unwrap(), "a");
        assert_eq!(releases.active().unwrap().as_deref(), Some("a"));
        assert!(releases.rollback().is_err());
        assert_eq!(releases.active().unwrap().as_deref(), Some("a"));
        assert!(releases.activate("../a").is_err() && releases.activate("c").is_err());
    }
}
