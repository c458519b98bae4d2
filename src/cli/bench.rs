//! `foryou bench`: open-loop load from a process of its own, against a server of its own unless told otherwise.

use clap::Subcommand;

/// Which benchmark.
#[derive(Debug, Clone, Subcommand)]
pub enum Benchmark {
    /// Latency of feeds at a given rate.
    Feed(Load),
    /// Throughput and latency of events; counts what was lost or doubled.
    Ingest(Load),
    /// From an event's sending to the first feed that reflects it.
    Freshness(Load),
    /// Memory and time per resident session.
    Sessions(Sessions),
}

/// How much load.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Arrivals per second.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// How long to measure.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// How long to warm up before.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub warm_up: u32,
    /// Videos in the catalogue of the server that is started.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub videos: u32,
    /// People in it.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub users: u32,
    /// Items per feed.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// A running server (http://HOST:PORT) to load instead of starting one.
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
}

/// How many sessions.
#[derive(Debug, Clone, clap::Args)]
pub struct Sessions {
    /// How many.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub count: u32,
    /// Actions in each.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub actions: u32,
}
