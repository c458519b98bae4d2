//! How good predictions are: order over all rows, order within a person, calibration.

use std::collections::BTreeMap;

use foryou_trainer::metrics;
use serde::Serialize;

/// Metrics of one outcome. `None` where they are undefined (one class only).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingMetrics {
    /// Rows judged.
    pub rows: usize,
    /// Rows with the outcome.
    pub positives: usize,
    /// Over all rows.
    pub auc: Option<f64>,
    /// Within each person, weighted by rows.
    pub gauc: Option<f64>,
    /// Of each person's rows ordered by prediction, mean over people with a positive row.
    pub ndcg_10: Option<f64>,
    /// Natural logarithm.
    pub log_loss: Option<f64>,
    /// Mean prediction over mean outcome.
    pub calibration: Option<f64>,
}

impl RankingMetrics {
    /// Judges predictions of `users`' rows.
    pub fn of(users: &[u32], predictions: &[f32], labels: &[f32]) -> Self {
        let groups: Vec<u64> = users.iter().map(|u| u64::from(*u)).collect();
        Self {
            rows: labels.len(),
            positives: labels.iter().filter(|l| **l > 0.5).count(),
            auc: metrics::auc(predictions, labels),
            gauc: metrics::gauc(&groups, predictions, labels),
            ndcg_10: ndcg(users, predictions, labels),
            log_loss: metrics::log_loss(predictions, labels),
            calibration: metrics::calibration_ratio(predictions, labels),
        }
    }
}

fn ndcg(users: &[u32], predictions: &[f32], labels: &[f32]) -> Option<f64> {
    let mut people: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    users.iter().enumerate().for_each(|(row, user)| people.entry(*user).or_default().push(row as u32));
    let of_person = |mut rows: Vec<u32>| {
        let relevant: Vec<u32> = rows.iter().copied().filter(|r| labels[*r as usize] > 0.5).collect();
        rows.sort_by(|a, b| predictions[*b as usize].total_cmp(&predictions[*a as usize]));
        metrics::ndcg_at(10, &rows, &relevant)
    };
    let each: Vec<f64> = people.into_values().filter_map(of_person).collect();
    (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_a_perfect_and_a_reversed_order() {
        let (users, labels) = ([1, 1, 2, 2], [1.0, 0.0, 0.0, 1.0]);
        let good = RankingMetrics::of(&users, &[0.9, 0.1, 0.2, 0.8], &labels);
        assert_eq!((good.auc, good.gauc, good.ndcg_10, good.positives), (Some(1.0), Some(1.0), Some(1.0), 2));
        let bad = RankingMetrics::of(&users, &[0.1, 0.9, 0.8, 0.2], &labels);
        assert_eq!((bad.auc, bad.gauc), (Some(0.0), Some(0.0)));
        assert_eq!(RankingMetrics::of(&users, &[0.5; 4], &[0.0; 4]).auc, None);
    }
}
