//! The ranker: gradient-boosted trees, one head per outcome.
//!
//! Histogram-based, leaf-wise boosting with second-order leaf values (Chen and Guestrin, *XGBoost*, 2016; Ke et al.,
//! *LightGBM*, 2017): features are cut into at most 255 bins once, each split re-uses its parent's histogram, and the leaf
//! with the largest gain is split next. NaN means missing and goes to whichever side of a split it gains more on.
//!
//! **Why our own.** `lightgbm3` binds a C++ library (cmake, bindgen and libclang at build time, libgomp at run time);
//! `perpetual` is pure Rust but has one `budget` in place of leaves, l2, fraction and trees per head, pulls in a large tree
//! of crates and does not document its node layout. What is needed is a few hundred lines, and owning them makes
//! the ONNX file exact: thresholds are `f32` values from training on, so no row takes another branch after export.
//!
//! All heads go into **one** ONNX file, see [`Ranker::onnx`].

mod bins;
mod boost;
mod config;
mod export;
mod grow;
mod histogram;
mod model;
mod train;
mod tree;

pub use config::{Head, HeadConfig, Objective, RankerConfig};
pub use model::{Importance, Predictions, Ranker};
pub use train::train;

#[cfg(test)]
mod tests;
