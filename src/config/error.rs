//! What can be wrong with a configuration.

use std::path::PathBuf;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML; the message has line and column.
    #[error("{origin} is not TOML: {reason}")]
    Syntax {
        /// The file.
        origin: String,
        /// What the parser says.
        reason: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` ({origin}); known here are {known}")]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// The file or the variable.
        origin: String,
        /// What would have been known.
        known: String,
    },
    /// A value of another type than the key's.
    #[error("`{key}` ({origin}) must be {wanted}, not {found}")]
    WrongType {
        /// The key, with its section.
        key: String,
        /// The file or the variable.
        origin: String,
        /// The type that is wanted.
        wanted: &'static str,
        /// The value that is there.
        found: String,
    },
    /// A value that the key's type refuses.
    #[error("`{key}` {reason}")]
    Refused {
        /// The key, with its section.
        key: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The compiled-in defaults do not turn into TOML: a fault of this program.
    #[error("the compiled-in configuration cannot be written as TOML: {0}")]
    Defaults(String),
}
