//! foryou: the real-time "For You" feed server. See `ARCHITECTURE.md` for the way of the data.

pub mod access;
pub mod app;
pub mod bench;
pub mod brokers;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crowd;
pub mod engines;
pub mod error;
pub mod exchange;
pub mod features;
pub mod feed;
pub mod http;
pub mod import;
pub mod models;
pub mod open_files;
pub mod peers;
pub mod quarantine;
pub mod stores;
pub mod telemetry;
pub mod tls;
pub mod training;
mod watched_files;
pub mod window;
