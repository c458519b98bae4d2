//! The only place where a feature is computed: pure functions of a session, the statistics, a video and the context.
//!
//! Serving, replay, backfill and training call [`Person::new`] once per request and [`Person::row`] once per candidate, so
//! what the ranker was trained on is what it is asked with. [`REGISTRY`] names and types every column.

mod candidate;
mod person;
mod registry;
mod taste;
pub mod towers;
mod vector;

pub use person::{Inputs, ItemVectors, Person, SLOW_BEFORE_S};
pub use registry::{Entity, Feature, REGISTRY, live_columns, names, schema_hash};
pub use vector::dot;
