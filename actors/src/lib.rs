//! Everything whose state changes while the server runs: sessions (actix, one per active user), services (ractor, few and
//! supervised), what they keep in memory, and the ports through which they reach the store and the event bus.

pub mod backoff;
pub mod catalogue;
pub mod chunked;
pub mod complaint;
pub mod dictionary;
pub mod fold;
pub mod histogram;
pub mod live;
pub mod ports;
pub mod services;
pub mod sessions;
mod shares;
pub mod statistics;
pub mod tallies;

/// The target of spans that are recorded for a collector of traces, and not for the log.
pub const TRACES: &str = "foryou::trace";
