//! Offline metrics.
//!
//! Probability metrics ([`auc`], [`gauc`], [`log_loss`], [`calibration`]) read scores and 0/1 labels; ranking metrics
//! ([`recall_at`], [`ndcg_at`]) read an ordered list and the set of relevant items.

mod auc;
mod probability;
mod ranking;

pub use auc::{auc, gauc};
pub use probability::{CalibrationBin, calibration, calibration_ratio, log_loss};
pub use ranking::{ndcg_at, recall_at};
