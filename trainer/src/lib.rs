//! Matrices in, models out.
//!
//! This crate trains the two models of a release and writes them as ONNX files:
//!
//! - [`two_tower`]: retrieval. A person's last actions become one vector, a video's content another; their inner
//!   product orders the catalogue.
//! - [`ranker`]: gradient-boosted trees, one head per outcome, that order a few hundred candidates.
//! - [`onnx`]: the small writer both use.
//! - [`metrics`] and [`baselines`]: what an evaluation needs to say whether a model is any good.
//!
//! It knows nothing of stores, events or servers. All matrices are row-major `f32` ([`Matrix`]). Whatever runs for
//! long takes a progress callback and a [`Cancel`] that is looked at every few milliseconds.
//!
//! There is no deep-learning framework in here. The model is a few matrix products whose gradients fit on a page;
//! written by hand they train the bundled data in about a minute on two cores, and finite differences check them.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub mod baselines;
mod error;
mod gemm;
mod matrix;
pub mod metrics;
pub mod onnx;
mod progress;
pub mod ranker;
pub mod two_tower;

pub use error::TrainError;
pub use matrix::Matrix;
pub use progress::{Cancel, Progress, Stage};
