//! What the engine needs from the outside world: a [feature store](store) and an [event bus](bus), each with an embedded and
//! a distributed implementation that pass one contract suite.

pub mod access;
pub mod audit;
pub mod bus;
pub mod catalogue;
pub mod cluster;
#[cfg(feature = "contract")]
pub mod contract;
pub mod quarantine;
pub mod store;
