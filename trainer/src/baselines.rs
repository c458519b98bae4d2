//! What a model has to beat.
//!
//! All of them read [`Interactions`]: for each person the items met, as indices.

mod interactions;
mod item_knn;
mod popularity;

pub use interactions::Interactions;
pub use item_knn::{ItemKnn, ItemKnnConfig};
pub use popularity::{decayed_popularity, popularity, top_k};
