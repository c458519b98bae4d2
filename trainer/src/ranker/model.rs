//! A trained ranker.

use crate::error::check_len;
use crate::{Matrix, TrainError};

use super::Objective;
use super::boost::HeadModel;
use super::tree::Node;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    features: Vec<String>,
    heads: Vec<String>,
    probability_heads: Vec<HeadModel>,
    watch_head: Option<HeadModel>,
}

impl Ranker {
    /// Sorts the heads by what they predict.
    pub(crate) fn new(features: Vec<String>, models: Vec<HeadModel>) -> Self {
        let (probability_heads, mut watch): (Vec<_>, Vec<_>) =
            models.into_iter().partition(|m| m.objective == Objective::Probability);
        let heads = probability_heads.iter().map(|m| m.name.clone()).collect();
        Self { features, heads, probability_heads, watch_head: watch.pop() }
    }

    /// Names of the features, `F`, in column order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Names of the probability heads, `K`, in column order.
    pub fn heads(&self) -> &[String] {
        &self.heads
    }

    /// Name of the watch-time head, if there is one.
    pub fn watch_head(&self) -> Option<&str> {
        self.watch_head.as_ref().map(|m| m.name.as_str())
    }

    /// Scores rows `[N, F]`; NaN is a missing value.
    pub fn predict(&self, features: &Matrix) -> Result<Predictions, TrainError> {
        check_len("ranker features", self.features.len(), features.cols())?;
        let mut probabilities = Matrix::zeros(features.rows(), self.heads.len());
        let mut watch_ms = Vec::new();
        for i in 0..features.rows() {
            let row = features.row(i);
            for (out, head) in probabilities.row_mut(i).iter_mut().zip(&self.probability_heads) {
                *out = 1.0 / (1.0 + (-head.score(row)).exp());
            }
            watch_ms.extend(self.watch_head.iter().map(|head| head.score(row).exp()));
        }
        Ok(Predictions { probabilities, watch_ms })
    }

    /// How much a head (by name, the watch-time head included) uses each feature, most gain first; `None` for a name it
    /// does not have.
    pub fn importances(&self, head: &str) -> Option<Vec<Importance>> {
        let model = self.models().find(|m| m.name == head)?;
        let mut all: Vec<Importance> =
            self.features.iter().map(|f| Importance { feature: f.clone(), gain: 0.0, splits: 0 }).collect();
        for node in model.trees.iter().flat_map(|t| &t.nodes) {
            if let Node::Split { feature, gain, .. } = node {
                all[*feature as usize].gain += gain;
                all[*feature as usize].splits += 1;
            }
        }
        all.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        Some(all)
    }

    /// Trees of each head by name, after early stopping.
    pub fn trees(&self) -> Vec<(String, usize)> {
        self.models().map(|m| (m.name.clone(), m.trees.len())).collect()
    }

    /// All heads as one ONNX file; `metadata` is written beside the names of features and heads.
    ///
    /// Input `features` float `[N, F]` (NaN is missing). Outputs `probabilities` float `[N, K]` if there is a probability
    /// head, and `watch_ms` float `[N]` if there is a watch-time head. Metadata `features` and `heads` are
    /// comma-separated names.
    pub fn onnx(&self, metadata: &[(String, String)]) -> Vec<u8> {
        super::export::ranker(self, metadata)
    }

    /// Probability heads in column order, then the watch-time head.
    pub(crate) fn models(&self) -> impl Iterator<Item = &HeadModel> {
        self.probability_heads.iter().chain(&self.watch_head)
    }
}
