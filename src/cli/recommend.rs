//! `foryou recommend`: feeds for many people at once, without exploration, one JSON line each.

use std::path::PathBuf;

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A file with one user id a line; - is standard input.
    #[arg(long, value_name = "FILE|-")]
    pub users: PathBuf,
    /// Videos per person.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only this source of candidates, unranked.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}
