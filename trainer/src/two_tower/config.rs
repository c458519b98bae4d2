//! Settings of a two-tower training run.

use crate::TrainError;

/// Over which items the softmax normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// Over the whole catalogue up to `full_up_to` items, sampled with `negatives` uniform draws beyond.
    Auto {
        /// Largest catalogue that is normalised over in full.
        full_up_to: usize,
        /// Uniform draws per step beyond that, beside the batch's own targets.
        negatives: usize,
    },
}

/// Settings of a two-tower training run; the defaults are the measured ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoTowerConfig {
    /// Dimension of `u` and `v`; vectors have one more.
    pub dim: usize,
    /// Width of the user tower's hidden layer.
    pub hidden: usize,
    /// How many differently weighted means the user tower takes over a history.
    pub pools: usize,
    /// The last events of a history that the user tower sees.
    pub history: usize,
    /// The last events of a person that are drawn from in training.
    pub max_events: usize,
    /// Hidden items predicted per example, at most. More cost next to nothing: they share the person's logits.
    pub targets: usize,
    /// Smallest and largest share of a person's items that is hidden.
    pub hide: (f32, f32),
    /// How often a whole history is hidden, so that a person without one gets a good vector.
    pub hide_all: f32,
    /// How often an item's own id is left out of its vector, so that content alone works for new videos.
    pub id_dropout: f32,
    /// How often a hidden unit of the user tower is left out.
    pub dropout: f32,
    /// Passes over all people.
    pub epochs: usize,
    /// People per optimiser step.
    pub batch: usize,
    /// Peak learning rate; it falls to zero along a cosine.
    pub learning_rate: f32,
    /// Decoupled weight decay (AdamW).
    pub weight_decay: f32,
    /// Over which items the softmax normalises.
    pub softmax: Softmax,
    /// Threads that share a batch. The result depends on it in the last bits, and on nothing else but the seed.
    pub threads: usize,
    /// Seed of all random draws.
    pub seed: u64,
}

impl Default for TwoTowerConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            hidden: 128,
            pools: 4,
            history: 100,
            max_events: 400,
            targets: 64,
            hide: (0.1, 0.5),
            hide_all: 0.02,
            id_dropout: 0.05,
            dropout: 0.1,
            epochs: 14,
            batch: 256,
            learning_rate: 0.01,
            weight_decay: 0.3,
            softmax: Softmax::Auto { full_up_to: 20_000, negatives: 4096 },
            threads: 2,
            seed: 1,
        }
    }
}

impl TwoTowerConfig {
    /// Fewer passes, for a first release that should be there soon.
    pub fn quick() -> Self {
        Self { epochs: 4, ..Self::default() }
    }

    /// Checks the settings that would otherwise panic or loop.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let bad = |name, reason: &str| Err(TrainError::Setting { name, reason: reason.into() });
        let sizes = [self.dim, self.hidden, self.pools, self.history, self.max_events, self.targets, self.epochs];
        if sizes.contains(&0) || self.batch == 0 || self.threads == 0 {
            return bad("sizes", "dim, hidden, pools, history, targets, epochs, batch and threads are at least 1");
        }
        if !(0.0 < self.hide.0 && self.hide.0 <= self.hide.1 && self.hide.1 < 1.0) {
            return bad("hide", "a range inside (0, 1), smaller bound first");
        }
        if [self.id_dropout, self.dropout, self.hide_all].iter().any(|p| !(0.0..1.0).contains(p)) {
            return bad("dropout", "id_dropout, dropout and hide_all lie in 0..1");
        }
        if !(self.learning_rate > 0.0 && self.weight_decay >= 0.0) {
            return bad("learning_rate", "learning_rate is above 0, weight_decay not below");
        }
        Ok(())
    }
}
