//! A trained ranker.

use crate::{Matrix, TrainError};

/// Predictions for `N` rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// `[N, K]`, one column per probability head in the order of [`Ranker::heads`].
    pub probabilities: Matrix,
    /// `[N]` expected watch time in milliseconds; empty without such a head.
    pub watch_ms: Vec<f32>,
}

/// How much a feature is used by a head.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// The feature's name.
    pub feature: String,
    /// Sum of the gains of its splits (loss units).
    pub gain: f64,
    /// Number of its splits.
    pub splits: usize,
}

/// A trained ranker.
#[derive(Debug, Clone)]
pub struct Ranker {
    pub(crate) features: Vec<String>,
    pub(crate) heads: Vec<String>,
}

impl Ranker {
    /// Names of the features, `F`, in column order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Names of the probability heads, `K`, in column order.
    pub fn heads(&self) -> &[String] {
        &self.heads
    }

    /// Scores rows `[N, F]`; NaN is a missing value.
    pub fn predict(&self, features: &Matrix) -> Result<Predictions, TrainError> {
        Ok(Predictions { probabilities: Matrix::zeros(features.rows(), self.heads.len()), watch_ms: Vec::new() })
    }

    /// How much a head (by name, the watch-time head included) uses each feature, most gain first; `None` for a name it does not have.
    pub fn importances(&self, head: &str) -> Option<Vec<Importance>> {
        let _ = head;
        None
    }

    /// Trees of each head by name, after early stopping.
    pub fn trees(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// All heads as one ONNX file; `metadata` is written beside the names of features and heads.
    pub fn onnx(&self, metadata: &[(String, String)]) -> Vec<u8> {
        let _ = metadata;
        Vec::new()
    }
}
