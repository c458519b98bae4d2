//! Stores: the implementations of [`foryou_actors::ports::store::FeatureStore`], and of where keys and the audit log are kept.

pub mod embedded;
pub mod files;
mod rows;
pub mod scylla;
pub mod timed;
