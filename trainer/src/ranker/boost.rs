//! Boosting one head.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::{Cancel, Matrix, TrainError};

use super::bins::Binned;
use super::config::{Head, Objective, RankerConfig};
use super::grow::Grower;
use super::histogram::Rules;
use super::tree::Tree;

/// Trees between two progress reports.
const REPORT_EVERY: usize = 10;

/// A trained head: `score = base + sum of trees`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeadModel {
    pub(crate) name: String,
    pub(crate) objective: Objective,
    pub(crate) base: f32,
    pub(crate) trees: Vec<Tree>,
}

impl HeadModel {
    /// The raw score of a row: log-odds or log milliseconds.
    pub(crate) fn score(&self, row: &[f32]) -> f32 {
        self.base + self.trees.iter().map(|t| t.predict(row)).sum::<f32>()
    }
}

/// The rows of one head.
struct Rows<'a> {
    labels: &'a [f32],
    weights: Option<&'a [f32]>,
    objective: Objective,
}

impl Rows<'_> {
    fn weight(&self, row: u32) -> f64 {
        self.weights.map_or(1.0, |w| f64::from(w[row as usize]))
    }

    /// The label in the space of scores' targets: a share, or `ln(1 + ms)`.
    fn target(&self, row: u32) -> f64 {
        let label = f64::from(self.labels[row as usize]);
        match self.objective {
            Objective::Probability => label,
            Objective::WatchTime => label.ln_1p(),
        }
    }

    /// The constant score of least loss.
    fn base(&self, rows: &[u32]) -> f64 {
        let total: f64 = rows.iter().map(|&r| self.weight(r)).sum();
        let mean = rows.iter().map(|&r| self.weight(r) * self.target(r)).sum::<f64>() / total.max(1e-12);
        match self.objective {
            Objective::Probability => {
                let p = mean.clamp(1e-6, 1.0 - 1e-6);
                (p / (1.0 - p)).ln()
            }
            Objective::WatchTime => mean,
        }
    }

    /// Gradient and hessian of the loss at `score`.
    fn gradient(&self, row: u32, score: f64) -> (f32, f32) {
        let weight = self.weight(row);
        match self.objective {
            Objective::Probability => {
                let p = sigmoid(score);
                ((weight * (p - self.target(row))) as f32, (weight * (p * (1.0 - p)).max(1e-9)) as f32)
            }
            Objective::WatchTime => ((weight * (score - self.target(row))) as f32, weight as f32),
        }
    }

    /// Mean weighted loss.
    fn loss(&self, rows: &[u32], scores: &[f64]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for &row in rows {
            let (score, target, weight) = (scores[row as usize], self.target(row), self.weight(row));
            sum += weight
                * match self.objective {
                    // ln(1 + e^s) - y s, without overflow
                    Objective::Probability => score.max(0.0) - score * target + (-score.abs()).exp().ln_1p(),
                    Objective::WatchTime => 0.5 * (score - target).powi(2),
                };
            total += weight;
        }
        sum / f64::max(total, 1e-12)
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Boosts one head. `seed` is the head's own; `report` gets (trees done, training loss).
pub(crate) fn boost(
    features: &Matrix,
    binned: &Binned,
    head: &Head,
    config: &RankerConfig,
    seed: u64,
    cancel: &Cancel,
    report: &dyn Fn(usize, f32),
) -> Result<HeadModel, TrainError> {
    let c = &head.config;
    let data = Rows { labels: &head.labels, weights: head.weights.as_deref(), objective: c.objective };
    let labelled = |r: &u32| !head.labels[*r as usize].is_nan();
    let is_validation = |r: &u32| config.validation.as_ref().is_some_and(|v| v.contains(&(*r as usize)));
    let (validation, train): (Vec<u32>, Vec<u32>) =
        (0..features.rows() as u32).filter(labelled).partition(is_validation);
    if train.is_empty() {
        return Err(TrainError::NotEnoughData(format!("head {} has no labelled row to train on", c.name)));
    }

    let base = data.base(&train);
    let mut scores = vec![base; features.rows()];
    let mut gradients = vec![(0f32, 0f32); features.rows()];
    let mut rng = SmallRng::seed_from_u64(seed);
    let allowed = |feature: &u32| !c.without.contains(&(*feature as usize));
    let mut all_features: Vec<u32> = (0..binned.features() as u32).filter(allowed).collect();
    if all_features.is_empty() {
        return Err(TrainError::NotEnoughData(format!("head {} is kept from every column", c.name)));
    }
    let used = ((all_features.len() as f32 * c.feature_fraction).ceil() as usize).clamp(1, all_features.len());
    let mut rows: Vec<u32> = Vec::new();
    let mut trees: Vec<Tree> = Vec::new();
    let (mut best, mut best_loss) = (0, f64::INFINITY);
    for done in 1..=c.trees {
        cancel.check()?;
        for &row in &train {
            gradients[row as usize] = data.gradient(row, scores[row as usize]);
        }
        all_features.shuffle(&mut rng);
        let mut chosen = all_features[..used].to_vec();
        chosen.sort_unstable();
        rows.clear();
        if c.row_fraction < 1.0 {
            rows.extend(train.iter().filter(|_| rng.random::<f32>() < c.row_fraction));
        } else {
            rows.extend_from_slice(&train);
        }
        let rules = Rules {
            l2: c.l2,
            min_rows: c.min_rows.max(1) as u32,
            min_gain: c.min_gain,
            monotone: &c.monotone,
            bounds: (f64::NEG_INFINITY, f64::INFINITY),
        };
        let grower =
            Grower { binned, features: &chosen, leaves: c.leaves, shrinkage: f64::from(c.learning_rate), rules };
        let tree = grower.grow(&mut rows, &gradients);
        for &row in train.iter().chain(&validation) {
            scores[row as usize] += f64::from(tree.predict(features.row(row as usize)));
        }
        trees.push(tree);
        if !validation.is_empty() {
            let loss = data.loss(&validation, &scores);
            if loss < best_loss {
                (best, best_loss) = (done, loss);
            } else if done - best >= config.patience {
                break;
            }
        }
        if done % REPORT_EVERY == 0 || done == c.trees {
            report(done, data.loss(&train, &scores) as f32);
        }
    }
    if !validation.is_empty() {
        trees.truncate(best);
    }
    let mut model = HeadModel { name: c.name.clone(), objective: c.objective, base: base as f32, trees };
    if c.objective == Objective::WatchTime {
        model.base += smearing(&model, features, &data, &train);
    }
    Ok(model)
}

/// The exponential of a mean logarithm is not a mean: the shift that makes the mean prediction equal the mean label.
fn smearing(model: &HeadModel, features: &Matrix, data: &Rows<'_>, rows: &[u32]) -> f32 {
    let observed: f64 = rows.iter().map(|&r| data.weight(r) * f64::from(data.labels[r as usize])).sum();
    let predicted: f64 =
        rows.iter().map(|&r| data.weight(r) * f64::from(model.score(features.row(r as usize))).exp()).sum();
    if observed > 0.0 && predicted > 0.0 && predicted.is_finite() { (observed / predicted).ln() as f32 } else { 0.0 }
}
