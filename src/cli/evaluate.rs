//! `foryou evaluate`: the live release against baselines, on what came after it was cut.

use foryou_schemas::Timestamp;

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Judge only what happened before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub until: Option<Timestamp>,
}
