//! Benchmarks that anyone can run: `foryou bench feed | ingest | freshness | sessions | sockets`.
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
mod sessions;
mod socket;
mod sockets;

pub use feed::{FeedBench, FeedReport, run as feed};
pub use freshness::{FreshnessBench, FreshnessReport, run as freshness};
pub use ingest::{IngestBench, IngestReport, run as ingest};
pub use report::{Head, Machine, Target, Versions};
pub use sessions::{SessionsBench, SessionsReport, run as sessions};
pub use sockets::{SocketsBench, SocketsReport, run as sockets};
