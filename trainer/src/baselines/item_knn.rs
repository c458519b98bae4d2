//! Item-to-item collaborative filtering.

use crate::{Cancel, Progress, Stage, TrainError};

use super::Interactions;

/// Settings of [`ItemKnn`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemKnnConfig {
    /// Neighbours kept per item.
    pub neighbours: usize,
    /// BM25's saturation.
    pub k1: f32,
    /// BM25's length normalisation, 0 to 1.
    pub b: f32,
}

impl Default for ItemKnnConfig {
    fn default() -> Self {
        Self { neighbours: 1000, k1: 1.2, b: 0.75 }
    }
}

/// Items similar by who met them: cosine of BM25-weighted sets of people (Sarwar et al., *Item-based Collaborative
/// Filtering*, 2001, with the weights of Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009).
///
/// A person is a term and an item a document: who meets everything says little (`idf`), and of an item that everybody
/// meets each single person says little (length normalisation).
#[derive(Debug, Clone, PartialEq)]
pub struct ItemKnn {
    neighbours: Vec<Vec<(u32, f32)>>,
}

impl ItemKnn {
    /// Computes the neighbours of every item. Takes time proportional to the sum of squared history lengths.
    pub fn fit(
        interactions: &Interactions,
        config: &ItemKnnConfig,
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, TrainError> {
        let items = interactions.items();
        let by_item = interactions.by_item();
        let weights = bm25(interactions, &by_item, config);
        let mut by_user: Vec<Vec<(u32, f32)>> = vec![Vec::new(); interactions.users()];
        for (item, (users, weights)) in by_item.iter().zip(&weights).enumerate() {
            for (&user, &w) in users.iter().zip(weights) {
                by_user[user as usize].push((item as u32, w));
            }
        }
        let mut similarity = vec![0f32; items];
        let mut neighbours = Vec::with_capacity(items);
        for item in 0..items {
            if item % 256 == 0 {
                cancel.check()?;
                progress(Progress { stage: Stage::ItemKnn, done: item, total: items, loss: f32::NAN });
            }
            similarity.fill(0.0);
            for (&user, &w) in by_item[item].iter().zip(&weights[item]) {
                for &(other, x) in &by_user[user as usize] {
                    similarity[other as usize] += w * x;
                }
            }
            similarity[item] = 0.0;
            neighbours.push(best(&similarity, config.neighbours));
        }
        progress(Progress { stage: Stage::ItemKnn, done: items, total: items, loss: f32::NAN });
        Ok(Self { neighbours })
    }

    /// The most similar items, best first, with their similarity in 0..=1.
    pub fn neighbours(&self, item: u32) -> &[(u32, f32)] {
        self.neighbours.get(item as usize).map_or(&[], Vec::as_slice)
    }

    /// Scores of all items for a person who met `history`: sums of similarities, `[items]`.
    pub fn scores(&self, history: &[u32]) -> Vec<f32> {
        let mut scores = vec![0.0; self.neighbours.len()];
        for &item in history {
            for &(other, similarity) in self.neighbours(item) {
                scores[other as usize] += similarity;
            }
        }
        scores
    }
}

/// For each item the weights of its people, scaled to length 1.
fn bm25(interactions: &Interactions, by_item: &[Vec<u32>], config: &ItemKnnConfig) -> Vec<Vec<f32>> {
    let items = by_item.len().max(1) as f32;
    let mean_length = by_item.iter().map(Vec::len).sum::<usize>() as f32 / items;
    let idf = |user: u32| {
        let met = interactions.of_user(user as usize).len() as f32;
        ((items - met + 0.5) / (met + 0.5)).ln_1p()
    };
    let weigh = |users: &Vec<u32>| {
        let length = config.k1 * (1.0 - config.b + config.b * users.len() as f32 / mean_length.max(1e-6));
        let weights: Vec<f32> = users.iter().map(|&u| idf(u) * (config.k1 + 1.0) / (1.0 + length)).collect();
        let norm = weights.iter().map(|w| w * w).sum::<f32>().sqrt().max(1e-12);
        weights.into_iter().map(|w| w / norm).collect()
    };
    by_item.iter().map(weigh).collect()
}

fn best(similarity: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> =
        similarity.iter().enumerate().filter(|(_, s)| **s > 0.0).map(|(i, &s)| (i as u32, s)).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(items: usize, by_user: Vec<Vec<u32>>, neighbours: usize) -> ItemKnn {
        let x = Interactions::new(items, by_user).unwrap();
        let config = ItemKnnConfig { neighbours, ..ItemKnnConfig::default() };
        ItemKnn::fit(&x, &config, &Cancel::new(), &mut |_| {}).unwrap()
    }

    #[test]
    fn the_same_people_have_similarity_one() {
        let knn = fit(4, vec![vec![0, 1], vec![0, 1, 2], vec![3]], 10);
        let (item, similarity) = knn.neighbours(0)[0];
        assert_eq!(item, 1);
        assert!((similarity - 1.0).abs() < 1e-5);
        // Item 2 shares one of two people: idf(2 of 4) = ln 2 and idf(3 of 4) = ln(1 + 1.5 / 3.5).
        let (a, b) = (2f32.ln(), (1.0 + 1.5f32 / 3.5).ln());
        assert!((knn.neighbours(0)[1].1 - b / (a * a + b * b).sqrt()).abs() < 1e-5);
        assert!(knn.neighbours(3).is_empty());
        assert_eq!(knn.scores(&[0])[3], 0.0);
        assert!((knn.scores(&[0, 0])[1] - 2.0).abs() < 1e-4);
    }

    #[test]
    fn keeps_the_best() {
        let knn = fit(3, vec![vec![0, 1], vec![0, 1, 2]], 1);
        assert_eq!(knn.neighbours(0).len(), 1);
        assert_eq!(knn.neighbours(0)[0].0, 1);
    }

    #[test]
    fn stops_when_asked() {
        let cancel = Cancel::new();
        cancel.cancel();
        let x = Interactions::new(1, vec![vec![0]]).unwrap();
        let result = ItemKnn::fit(&x, &ItemKnnConfig::default(), &cancel, &mut |_| {});
        assert_eq!(result, Err(TrainError::Cancelled));
    }
}
