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

#[cfg(test)]
mod tests {
    //! Hand-derived gradients against finite differences.

    use super::super::random::{generator, normal};
    use super::super::user_tower::Sizes;
    use super::*;

    const SIZES: Sizes = Sizes { dim: 5, actions: 2, profile: 3, pools: 2, hidden: 7 };
    const ITEMS: usize = 9;

    struct Case {
        tower: UserTower,
        vectors: Vec<f32>,
        actions: Vec<f32>,
        candidates: Candidates,
    }

    impl Case {
        fn new(candidates: Candidates) -> Self {
            let mut rng = generator(7, [0, 0]);
            let mut tower = UserTower::new(SIZES, &mut rng);
            tower.b1.weights = normal(SIZES.hidden, 0.5, &mut rng);
            tower.queries.weights = normal(SIZES.pools * SIZES.event(), 0.5, &mut rng);
            let vectors = normal(ITEMS * (SIZES.dim + 1), 0.4, &mut rng);
            Self { tower, vectors, actions: normal(8, 1.0, &mut rng), candidates }
        }

        /// Three people: several events (one item twice), one event, none.
        fn run(&self) -> Shard {
            let event = |vector, a: usize| Event { vector, actions: &self.actions[2 * a..2 * a + 2] };
            let profile = |x: usize| &self.actions[x..x + 3];
            let people = [
                Person { input: (vec![event(0, 0), event(8, 1), event(0, 2)], profile(0)), targets: vec![1, 3] },
                Person { input: (vec![event(7, 3)], profile(1)), targets: vec![0] },
                Person { input: (vec![], profile(2)), targets: vec![5, 2, 4] },
            ];
            let mut shard = Shard::new(&self.tower);
            // A fixed dropout pattern: every third unit is off.
            let mut n = 0;
            let keep = move || {
                n += 1;
                if n % 3 == 0 { 0.0 } else { 1.5 }
            };
            shard.run(&self.tower, &self.vectors, &self.candidates, &people, 0.5, keep);
            shard
        }

        /// Compares `gradient` with central differences over the values that `at` picks.
        fn check(&mut self, name: &str, gradient: &[f32], at: impl Fn(&mut Self) -> &mut Vec<f32>) {
            const STEP: f32 = 2e-3;
            for (i, &got) in gradient.iter().enumerate() {
                let old = at(self)[i];
                let mut loss = |x: f32| {
                    at(self)[i] = x;
                    self.run().loss
                };
                let want = (loss(old + STEP) - loss(old - STEP)) / f64::from(2.0 * STEP);
                at(self)[i] = old;
                assert!((f64::from(got) - want).abs() < 4e-3 * (1.0 + want.abs()), "{name}[{i}]: {got}, want {want}");
            }
        }
    }

    fn check_all(mut case: Case) {
        let shard = case.run();
        let g = shard.grads;
        case.check("vectors", &shard.vectors_grad, |c| &mut c.vectors);
        case.check("queries", &g.queries, |c| &mut c.tower.queries.weights);
        case.check("sinks", &g.sinks, |c| &mut c.tower.sinks.weights);
        case.check("w2", &g.w2, |c| &mut c.tower.w2.weights);
        case.check("b2", &g.b2, |c| &mut c.tower.b2.weights);
        case.check("w1", &g.w1, |c| &mut c.tower.w1.weights);
        case.check("b1", &g.b1, |c| &mut c.tower.b1.weights);
    }

    #[test]
    fn gradients_of_the_full_softmax() {
        check_all(Case::new(Candidates { len: ITEMS, corrections: Vec::new() }));
    }

    #[test]
    fn gradients_of_the_sampled_softmax() {
        // Items 7 and 8 are in a history but no candidates.
        let corrections = vec![0.0, 1.0, 0.5, 2.0, 0.1, 0.3, 1.5];
        check_all(Case::new(Candidates { len: 7, corrections }));
    }
}
