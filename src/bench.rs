//! Benchmarks that anyone can run: `foryou bench feed | ingest | freshness | sessions`.
//!
//! The server under test is a process of its own, started by `server::Server`; the load comes from this process, open-loop:
//! arrivals are on schedule and latency counts from the *scheduled* start, so a stall shows in full.

mod client;
mod feed;
mod freshness;
mod ingest;
mod load;
mod report;
mod server;

pub use feed::{FeedBench, run as feed};
pub use freshness::{FreshnessBench, run as freshness};
pub use ingest::{IngestBench, run as ingest};
pub use report::{Machine, Target};
