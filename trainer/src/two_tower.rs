//! The two-tower retrieval model.
//!
//! **What it learns.** *Set mode*: a random 10-50 % of the videos a person met are hidden, and from the rest the model
//! predicts the hidden ones at once by a softmax over the catalogue. There is no order in the task, which is what a feed
//! wants: of the people with this taste, what else did they meet. One example serves many targets, so a pass costs a
//! fraction of one that predicts every interaction from its past.
//!
//! **Layouts**, with `d` = [`TwoTowerConfig::dim`]:
//!
//! | what | shape | content |
//! |---|---|---|
//! | item vector | `d + 1` | `[4 v, b]`: the item's direction times [`LOGIT_SCALE`], and its bias |
//! | user vector | `d + 1` | `[u, 1]` |
//! | score | 1 | their inner product `4 u.v + b`: the logit the softmax was trained on |
//!
//! The last dimension is where a server adds the recency prior, see [`prior`]: it belongs to the item, so the score
//! stays an inner product and the prior can be refreshed every few seconds without training. The user tower reads item
//! vectors in this same layout and ignores the last dimension, so a refreshed prior does not move a person.
//!
//! **Sources.** Sampled softmax with uniform and in-batch negatives: Yang et al., *Mixed Negative Sampling for Learning
//! Two-tower Neural Networks in Recommendations*, 2020. The multinomial loss over a hidden set: Liang et al., *Variational
//! Autoencoders for Collaborative Filtering*, 2018. AdamW: Loshchilov and Hutter, 2019.

mod active;
mod adamw;
mod config;
mod data;
mod examples;
mod export;
mod item_tower;
mod model;
pub mod prior;
mod random;
mod schema;
mod shard;
mod softmax;
mod standardise;
mod train;
mod user_batch;
mod user_tower;

pub use config::{Softmax, TwoTowerConfig};
pub use data::{Histories, History, ItemTable};
pub use model::TwoTower;
pub use schema::{IdGroup, TowerSchema};
pub use train::train;

/// What the inner product of the two towers is multiplied by; it is folded into the item vectors.
pub const LOGIT_SCALE: f32 = 4.0;

#[cfg(test)]
mod tests;
