//! Sessions: one light actix actor per active user.

pub mod affinity;
mod arbiters;
mod outcomes;
mod past;
pub mod rare;
pub mod registry;
mod resident;
mod session;
pub mod snapshot;
pub mod state;

pub use registry::{AppliedEvents, Busy, SessionError, SessionSettings, SessionStats, Sessions, ShardStats};
