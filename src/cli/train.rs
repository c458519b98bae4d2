//! `foryou train`: a new release from what is stored.

use foryou_schemas::Timestamp;

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Learn only from what happened before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub until: Option<Timestamp>,
}
