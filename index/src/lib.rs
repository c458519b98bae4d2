//! Maximum inner product search over item vectors, for retrieval by a two-tower model.
//!
//! An [`Index`] holds items with dense `u32` ids, each with a vector of `dim` `f32` components and a *prior*.
//! The score of an item for a query is
//!
//! ```text
//! score = <query, vector> + prior        (higher is better; nothing is normalised)
//! ```
//!
//! Two segments hold the items between them, each item in exactly one:
//!
//! - the **exact** segment takes new and changed vectors at once and is scanned;
//! - the **graph** segment is immutable, built by [hora](https://docs.rs/hora) and searched by our own loop over
//!   flat arrays, so that a tombstone, a filter and a refreshed prior count without rebuilding anything.
//!
//! Invariants: an item is in at most one segment; a search never waits for an update; nothing that is not
//! finite enters, so every score is finite.

pub mod bench;
pub mod kernel;

mod bits;
mod error;
mod exact;
mod format;
mod graph;
mod index;
mod paged;
mod rows;
mod snapshot;
mod synthetic;
mod topk;
mod vector;

pub use error::IndexError;
pub use graph::GraphConfig;
pub use index::{DEFAULT_EF, Index, IndexConfig, IndexStats, ROUNDING};
pub use topk::Hit;
pub use vector::{MAX_ABS, MAX_ITEMS};
