//! Files that are whole or not there: written aside, synced, renamed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use sha2::{Digest, Sha256};

use super::ModelError;

/// Writes `bytes` to `path` so that a crash leaves the old content or the new, never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let aside = path.with_extension("tmp");
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
