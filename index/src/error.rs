//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// An error of the index. Every message says what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A vector or a query has another dimension than the index.
    #[error("the vector has {got} components, the index has {expected}: use the towers that this index was made with")]
    Dimension {
        /// Components of the index.
        expected: usize,
        /// Components of what came.
        got: usize,
    },
    /// A component or a prior is NaN, infinite or beyond [`MAX_ABS`](crate::MAX_ABS).
    #[error("{what} is {value}: give finite numbers within ±1e15 (a tower that puts out others is broken)")]
    OutOfRange {
        /// Which number, in words.
        what: String,
        /// The number.
        value: f32,
    },
    /// An item id is not dense.
    #[error("item {item} is not below {limit}: number the items densely from 0")]
    Item {
        /// The id.
        item: u32,
        /// The first id that is refused.
        limit: u32,
    },
    /// The configuration cannot work.
    #[error("index configuration: {0}")]
    Config(String),
    /// A rebuild was asked for while one runs.
    #[error("a rebuild is running: wait until it ends, then ask again")]
    RebuildRunning,
    /// hora failed or put out something unexpected.
    #[error("building the graph failed: {0}; the index serves on as it was")]
    Build(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An index file is truncated or damaged.
    #[error("{path} is not a sound index file: {why}; fetch the release again, or rebuild the index")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// An index file was written by another version.
    #[error("{path} has format version {found}, this program reads {supported}: rebuild the index")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is read and written.
        supported: u32,
    },
}

impl IndexError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}
