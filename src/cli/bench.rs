//! `foryou bench`: open-loop load from this process on a server of its own.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use crate::bench::{self, FeedBench, FreshnessBench, IngestBench, SessionsBench, SocketsBench, Target};

/// Which benchmark.
#[derive(Debug, Clone, Subcommand)]
pub enum Benchmark {
    /// Latency of feeds at a given rate.
    Feed {
        /// Feeds per second.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: u32,
        /// Items of a feed.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// For how long, and on what.
        #[command(flatten)]
        load: Load,
    },
    /// Throughput and latency of events until durable; counts what was lost or doubled.
    Ingest {
        /// Events per second.
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: u32,
        /// Events of one request.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        batch: u32,
        /// For how long, and on what.
        #[command(flatten)]
        load: Load,
    },
    /// From an event's sending to the first feed that reflects it.
    Freshness {
        /// Events per second, each followed by a feed.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: u32,
        /// People who are active: their sessions are in memory, as those of people who swipe are.
        #[arg(long, default_value_t = 2_500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        people: u32,
        /// For how long, and on what.
        #[command(flatten)]
        load: Load,
    },
    /// Memory and time per resident session.
    Sessions {
        /// How many sessions.
        #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        count: u32,
        /// Actions in each.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
        actions: u32,
    },
    /// Memory of idle feed sockets, and the time from an action to the tail that it brings.
    Sockets {
        /// Idle sockets.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        idle: u32,
        /// Active sockets.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        active: u32,
        /// Actions per second of all active sockets.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: u32,
        /// For how long the server gathers what happens before it pushes, ms.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
        coalesce: u32,
        /// For how long, and on what.
        #[command(flatten)]
        load: Load,
    },
}

/// For how long, and on what.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Seconds to measure; a tenth more goes before as warm-up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    duration: u32,
    /// Videos in the catalogue: those of the data set, and as many made up after them as it takes.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    videos: u32,
    /// Connections; arrivals wait while all are busy.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// The data set that the server's data are made from: KuaiRand's folder.
    #[arg(long, value_name = "DIR", default_value = "data/kuairand")]
    dataset: PathBuf,
}

impl Load {
    fn target(&self, context: &Context) -> anyhow::Result<Target> {
        Ok(Target {
            binary: std::env::current_exe()?,
            dataset: self.dataset.clone(),
            config: context.config.clone(),
            videos: self.videos as usize,
        })
    }
}

/// Runs the command.
pub fn run(benchmark: Benchmark, context: &Context) -> anyhow::Result<()> {
    // One thread: the load should leave the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match benchmark {
        Benchmark::Feed { rate, limit, load } => {
            let settings = FeedBench {
                rate: rate.into(),
                duration_s: load.duration.into(),
                limit: limit as usize,
                connections: load.connections as usize,
                target: load.target(context)?,
            };
            print(context, &runtime.block_on(bench::feed(settings))?)
        }
        Benchmark::Ingest { rate, batch, load } => {
            let settings = IngestBench {
                rate: rate.into(),
                duration_s: load.duration.into(),
                batch: batch.into(),
                connections: load.connections as usize,
                target: load.target(context)?,
            };
            print(context, &runtime.block_on(bench::ingest(settings))?)
        }
        Benchmark::Freshness { rate, people, load } => {
            let settings = FreshnessBench {
                rate: rate.into(),
                people: people as usize,
                duration_s: load.duration.into(),
                connections: load.connections as usize,
                target: load.target(context)?,
            };
            print(context, &runtime.block_on(bench::freshness(settings))?)
        }
        Benchmark::Sessions { count, actions } => {
            let settings = SessionsBench { count: count as usize, actions: actions as usize };
            // As many threads as the server has: what is measured runs in this process.
            let runtime = tokio::runtime::Runtime::new()?;
            print(context, &runtime.block_on(bench::sessions(settings))?)
        }
        Benchmark::Sockets { idle, active, rate, coalesce, load } => {
            let settings = SocketsBench {
                idle: idle as usize,
                before: idle as usize / 5,
                active: active as usize,
                rate: rate.into(),
                duration_s: load.duration.into(),
                coalesce_ms: coalesce,
                target: load.target(context)?,
            };
            print(context, &runtime.block_on(bench::sockets(settings))?)
        }
    }
}

fn print(context: &Context, report: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    context.print(report, || text)
}
