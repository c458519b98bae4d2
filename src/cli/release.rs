//! `foryou release`: model releases.

use clap::Subcommand;

/// What to do with releases.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Every release, newest first, and which one is live.
    List,
    /// One release's manifest and metrics.
    Show {
        /// Its name; the live one where it is left out.
        release: Option<String>,
    },
    /// Make a release live.
    Activate {
        /// Its name.
        release: String,
    },
    /// Make the release live that was live before.
    Rollback,
    /// Check a release as the server does before it loads one.
    Check {
        /// Its name; the live one where it is left out.
        release: Option<String>,
    },
}
