//! Training, evaluation and replay: all of them fold the log through the same session state and features as serving.
//!
//! ```text
//! store ─► Log (time order) ─► World: sessions, statistics ─┬─► histories ─► two towers ─► item vectors ─┐
//!                                                           └─► rows, each before its outcome ─► ranker ─┴─► release
//! ```

mod baselines;
mod catboost;
pub mod evaluate;
mod log;
mod parity;
mod progress;
mod ranking;
pub mod replay;
mod retrieval;
mod rows;
mod rows_file;
pub mod runs;
pub mod served;
mod table;
#[cfg(test)]
mod tests;
mod towers;
pub mod train;
mod world;

pub use log::{Log, Logged};
pub use ranking::RankingMetrics;
pub use retrieval::Recall;
pub use rows::Rows;
pub use world::{Moment, World};
