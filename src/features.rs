//! The only place where a feature is computed: pure functions of a session, the statistics, a video and the context.
//!
//! Serving, replay, backfill and training call [`Person::new`] once per request and [`Person::row`] once per candidate, so
//! what the ranker was trained on is what it is asked with. [`REGISTRY`] names and types every column.

mod person;
mod registry;
pub mod towers;
mod vector;

pub use person::{Inputs, ItemVectors, Person};
pub use registry::{Entity, Feature, REGISTRY, names, schema_hash};
