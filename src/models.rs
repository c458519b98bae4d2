//! Model releases: one directory that holds everything a feed needs to be computed, checked before it serves, swapped whole.
//!
//! [`Release`] is a loaded directory, [`Releases`] the folder of all of them, [`Serving`] a release made ready for this
//! node's catalogue, and [`Models`] the holder that requests read. New user vectors against an old index cannot happen: the
//! towers, the vectors and the index are one unit.

mod error;
mod files;
mod forest;
mod item_vectors;
mod keeper;
mod kept_index;
mod loader;
mod manifest;
mod parity;
pub mod prior;
pub mod recall;
mod release;
mod releases;
pub mod runtime;
mod serving;
mod sessions;
pub mod shelf;
mod vector_table;
mod writer;

pub use error::ModelError;
pub use item_vectors::TrainedItems;
pub use keeper::IndexKeeper;
pub use loader::ReleaseLoader;
pub use manifest::{FORMAT_VERSION, Manifest};
pub use parity::{ItemCase, Parity, RowCase, UserCase};
pub use release::{Loading, Predictions, RankerEngine, Release};
pub use releases::{Releases, Summary};
pub use serving::{Models, Serving};
pub use vector_table::VectorTable;
pub use writer::{Draft, write};
