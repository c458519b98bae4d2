//! What can be wrong with a release, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a release, or a model in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// ONNX Runtime's library is not there or too old.
    #[error(
        "the ONNX Runtime library cannot be used ({reason}); set ORT_DYLIB_PATH or models.onnxruntime to the path of a \
         libonnxruntime.so; scripts/onnxruntime.sh fetches one and prints its path"
    )]
    Runtime {
        /// What the loader said.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The release is damaged, or does not fit this program.
    #[error("release {release} is refused: {reason}")]
    Refused {
        /// Its id.
        release: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no such release.
    #[error("there is no release {0}; `foryou release list` shows those that are there")]
    Unknown(String),
    /// There is no release to use.
    #[error("no release is active; run `foryou train` first")]
    NoneActive,
    /// There is nothing to roll back to.
    #[error("no other release was live before; `foryou release activate` makes any of `foryou release list` live")]
    NoneBefore,
    /// Where releases are kept cannot be reached now.
    #[error("the releases cannot be reached: {0}")]
    Away(String),
    /// A model failed on an input.
    #[error("the {model} model failed: {reason}")]
    Inference {
        /// `user_tower`, `item_tower` or `ranker`.
        model: &'static str,
        /// What ONNX Runtime said, or what was wrong with its output.
        reason: String,
    },
    /// The vector index refused something.
    #[error(transparent)]
    Index(#[from] foryou_index::IndexError),
}

impl ModelError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn refused(release: &str, reason: impl Into<String>) -> Self {
        Self::Refused { release: release.to_owned(), reason: reason.into() }
    }

    pub(super) fn inference(model: &'static str) -> impl FnOnce(ort::Error) -> Self {
        move |e| Self::Inference { model, reason: e.to_string() }
    }
}
