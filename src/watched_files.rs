//! Files that are read again when they change.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use parking_lot::Mutex;

/// Some files, and how they were when they were last read.
#[derive(Debug)]
pub struct WatchedFiles {
    files: Vec<PathBuf>,
    seen: Mutex<Vec<Stamp>>,
}

/// Length and time of change; nothing where there is no file.
type Stamp = Option<(u64, SystemTime)>;

impl WatchedFiles {
    /// The files as they are now. Made before they are read, so that a change meanwhile is seen.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let files: Vec<PathBuf> = files.into_iter().map(Path::to_owned).collect();
        let seen = Mutex::new(stamps(&files));
        Self { files, seen }
    }

    /// What `read` gives, where a file changed since it gave something last. Where it fails, the next look tries again. Waits for the disk.
    pub fn again<T, E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<Option<T>, E> {
        let now = stamps(&self.files);
        if *self.seen.lock() == now {
            return Ok(None);
        }
        let new = read()?;
        *self.seen.lock() = now;
        Ok(Some(new))
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.len(), file.modified().ok()?))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_once_for_each_change_and_again_after_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let (there, missing) = (dir.path().join("there"), dir.path().join("missing"));
        std::fs::write(&there, "one").unwrap();
        let watched = WatchedFiles::new([there.as_path(), missing.as_path()]);
        let read = || std::fs::read_to_string(&there);
        assert_eq!(watched.again(read).unwrap(), None);
        std::fs::write(&there, "three").unwrap();
        assert!(watched.again(|| Err::<String, _>("half of it")).is_err());
        assert_eq!(watched.again(read).unwrap().as_deref(), Some("three"));
        assert_eq!(watched.again(read).unwrap(), None);
        // One that comes or goes is a change, too.
        std::fs::write(&missing, "").unwrap();
        assert!(watched.again(read).unwrap().is_some());
        std::fs::remove_file(&missing).unwrap();
        assert!(watched.again(read).unwrap().is_some());
    }
}
