//! Settings and labels of the ranker's heads.

use std::ops::Range;

/// What a head predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// The probability of an outcome; labels are 0 or 1 (or a share between), loss is logistic.
    Probability,
    /// The expected watch time in milliseconds. Labels are milliseconds, not below 0; the trees fit `ln(1 + ms)` by
    /// squared loss and one factor makes the mean prediction equal the mean watch time (a smearing estimate, Duan 1983).
    WatchTime,
}

/// Settings of one head.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadConfig {
    /// The outcome, for example `long_view`; it names the column in the ONNX metadata.
    pub name: String,
    /// What the head predicts.
    pub objective: Objective,
    /// Shrinkage of each tree.
    pub learning_rate: f32,
    /// Trees, at most.
    pub trees: usize,
    /// Leaves of a tree, at most.
    pub leaves: usize,
    /// L2 penalty on leaf values.
    pub l2: f64,
    /// Share of the head's features that a tree may use.
    pub feature_fraction: f32,
    /// Columns that the head must not use, whatever they would gain.
    pub without: Vec<usize>,
    /// Share of the rows that a tree is grown on.
    pub row_fraction: f32,
    /// Rows that a leaf needs, at least.
    pub min_rows: usize,
    /// Smallest gain of a split.
    pub min_gain: f64,
    /// One entry per feature: 1 may only rise with it, -1 only fall, 0 free. Empty: all free.
    pub monotone: Vec<i8>,
}

impl HeadConfig {
    /// Settings for a frequent outcome such as a long view.
    pub fn frequent(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            objective: Objective::Probability,
            learning_rate: 0.04,
            trees: 280,
            leaves: 31,
            l2: 5.0,
            feature_fraction: 0.5,
            without: Vec::new(),
            row_fraction: 1.0,
            min_rows: 20,
            min_gain: 0.0,
            monotone: Vec::new(),
        }
    }

    /// Settings for a rare outcome such as a like: smaller trees, more shrinkage of their leaves.
    pub fn rare(name: impl Into<String>) -> Self {
        Self { leaves: 15, l2: 20.0, trees: 200, learning_rate: 0.03, feature_fraction: 0.4, ..Self::frequent(name) }
    }

    /// Settings for the watch time.
    pub fn watch_time(name: impl Into<String>) -> Self {
        Self { objective: Objective::WatchTime, trees: 200, learning_rate: 0.06, ..Self::frequent(name) }
    }
}

/// One head with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its settings.
    pub config: HeadConfig,
    /// One label per row; NaN where the row says nothing about this outcome (it is left out for this head).
    pub labels: Vec<f32>,
    /// One weight per row, not below 0; `None` weighs all rows the same.
    pub weights: Option<Vec<f32>>,
}

/// Settings shared by all heads.
#[derive(Debug, Clone, PartialEq)]
pub struct RankerConfig {
    /// Bins per feature, 2 to 255.
    pub max_bins: usize,
    /// Rows kept out of training and used to stop early: usually the last ones in time.
    pub validation: Option<Range<usize>>,
    /// Trees without a better validation loss after which a head stops and goes back to its best.
    pub patience: usize,
    /// Heads trained at the same time. The result does not depend on it.
    pub threads: usize,
    /// Seed of the feature and row samples.
    pub seed: u64,
}

impl Default for RankerConfig {
    fn default() -> Self {
        Self { max_bins: 255, validation: None, patience: 30, threads: 2, seed: 1 }
    }
}
