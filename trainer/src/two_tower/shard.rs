//! One thread's share of a step: forward, loss, backward.

use crate::gemm::{View, gemm};

use super::LOGIT_SCALE;
use super::softmax::{Candidates, loss_and_grad};
use super::user_batch::{Event, UserBatch};
use super::user_tower::{UserGrads, UserTower};

/// People whose logits are in memory at the same time: a block of them fits the second-level cache.
const BLOCK: usize = 64;

/// A person with visible events, profile and targets (indices into the vectors at hand).
pub(crate) struct Person<'a> {
    pub(crate) input: (Vec<Event<'a>>, &'a [f32]),
    pub(crate) targets: Vec<u32>,
}

/// Buffers of a shard, kept from step to step, and what it computed.
pub(crate) struct Shard {
    /// Sum of weighted losses.
    pub(crate) loss: f64,
    /// Gradient of the user tower.
    pub(crate) grads: UserGrads,
    /// Gradient of the vectors, `[M, d + 1]`.
    pub(crate) vectors_grad: Vec<f32>,
    batch: UserBatch,
    users: Vec<f32>,
    logits: Vec<f32>,
}

impl Shard {
    pub(crate) fn new(tower: &UserTower) -> Self {
        Self {
            loss: 0.0,
            grads: tower.zero_grads(),
            vectors_grad: Vec::new(),
            batch: UserBatch::default(),
            users: Vec::new(),
            logits: Vec::new(),
        }
    }

    /// Computes loss and gradients for `people`, each target weighing `weight`.
    ///
    /// `vectors` is `[M, d + 1]`, `[v, b]` per row, candidates first.
    pub(crate) fn run(
        &mut self,
        tower: &UserTower,
        vectors: &[f32],
        candidates: &Candidates,
        people: &[Person<'_>],
        weight: f32,
        keep: impl FnMut() -> f32,
    ) {
        let dim = tower.sizes.dim;
        let (width, n) = (dim + 1, candidates.len);
        self.loss = 0.0;
        self.grads = tower.zero_grads();
        self.vectors_grad.clear();
        self.vectors_grad.resize(vectors.len(), 0.0);
        let inputs: Vec<_> = people.iter().map(|p| (p.input.0.clone(), p.input.1)).collect();
        self.batch.forward(tower, vectors, &inputs, keep, &mut self.users);

        let mut users_grad = Vec::with_capacity(self.users.len());
        let scored = View::new(&vectors[..n * width], n, width);
        for (block, people) in people.chunks(BLOCK).enumerate() {
            let rows = people.len();
            let users = &self.users[block * BLOCK * dim..][..rows * dim];
            let mut extended = Vec::with_capacity(rows * width);
            for u in users.chunks_exact(dim) {
                extended.extend(u.iter().map(|x| LOGIT_SCALE * x));
                extended.push(1.0);
            }
            self.logits.resize(rows * n, 0.0);
            gemm(1.0, View::new(&extended, rows, width), scored.t(), 0.0, &mut self.logits);
            for (row, person) in self.logits.chunks_exact_mut(n).zip(people) {
                self.loss += loss_and_grad(row, &person.targets, candidates, weight);
            }
            let grad = View::new(&self.logits, rows, n);
            let of_vectors = &mut self.vectors_grad[..n * width];
            gemm(1.0, grad.t(), View::new(&extended, rows, width), 1.0, of_vectors);
            let mut of_extended = vec![0.0; rows * width];
            gemm(LOGIT_SCALE, grad, scored, 0.0, &mut of_extended);
            users_grad.extend(of_extended.chunks_exact(width).flat_map(|row| &row[..dim]));
        }
        self.batch.backward(tower, vectors, &inputs, &users_grad, &mut self.grads, &mut self.vectors_grad);
    }
}
