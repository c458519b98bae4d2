//! Keys and the audit log of a single node, in files below the data folder. The embedded store is open in one process at a time; these
//! are not: `foryou keys` changes them while a server runs, and the server sees it.

mod audit;
mod keys;

pub use audit::AuditFiles;
pub use keys::KeyFile;

use std::{io, path::Path};

use foryou_actors::ports::store::StoreError;

/// Runs what waits for the disk where nobody else waits with it.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Away(format!("a file was not read or written to the end: {error}")))?
}

fn failed(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::Away(format!("{}: {error}", path.display()))
}

/// Makes a folder that nobody else may look into.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))
}

#[cfg(test)]
mod tests;
