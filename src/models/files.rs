//! Files that are whole or not there: written aside, synced, renamed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use sha2::{Digest, Sha256};

use super::ModelError;

/// Writes `bytes` to `path` so that a crash leaves the old content or the new, never a part. Of several at once, in whichever
/// processes, the last one stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let aside = path.with_extension(format!("{}-{}.tmp", std::process::id(), WRITTEN.fetch_add(1, Relaxed)));
    write_synced(&aside, bytes)?;
    fs::rename(&aside, path).map_err(ModelError::io(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Writes `bytes` and waits until the disk has them.
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(ModelError::io(path))
}

/// Makes renames and new files of a folder durable.
pub fn sync_folder(path: &Path) -> Result<(), ModelError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(ModelError::io(path))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(ModelError::io(path))
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_write_one_file_at_once_do_not_get_into_each_others_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("active");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = &path;
                scope.spawn(move || (0..25).for_each(|_| write_atomically(path, &[n; 100]).unwrap()));
            }
        });
        let left = fs::read(&path).unwrap();
        assert!(left.len() == 100 && left.iter().all(|byte| *byte == left[0]), "one of them, whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
