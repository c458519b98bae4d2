//! Feature stores: the implementations of [`foryou_actors::ports::store::FeatureStore`].

pub mod embedded;
mod rows;
pub mod scylla;
pub mod timed;
