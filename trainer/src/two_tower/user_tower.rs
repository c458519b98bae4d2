//! The user tower: weighted means of a history, and a perceptron.
//!
//! With `x_l = [v_l, a_l]` (item direction and standardised actions of event `l`), for each pool `h`
//!
//! ```text
//! w_lh = exp(q_h . x_l)            how much an event counts: learned from what it was and what was done
//! p_h  = sum_l w_lh x_l / (sum_l w_lh + exp(s_h))     a mean that trusts long histories more
//! z    = [p_1 .. p_H, ln(1 + L) / 4, profile]
//! u    = W2 [relu(W1 z + b1), z] + b2
//! ```
//!
//! Attention over the events and a plain mean tie on the bundled data; this is between the two and has no matrix product
//! per event.

use rand::rngs::SmallRng;

use super::adamw::{Param, Step};
use super::random::normal;

/// Largest absolute event score: keeps `exp` finite whatever an input says.
pub(crate) const SCORE_LIMIT: f32 = 15.0;
/// Scale of the `ln(1 + L)` input.
pub(crate) const COUNT_SCALE: f32 = 0.25;

/// Sizes of the user tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) dim: usize,
    pub(crate) actions: usize,
    pub(crate) profile: usize,
    pub(crate) pools: usize,
    pub(crate) hidden: usize,
}

impl Sizes {
    /// Width of an event vector `x_l`.
    pub(crate) fn event(self) -> usize {
        self.dim + self.actions
    }

    /// Width of the perceptron's input `z`.
    pub(crate) fn input(self) -> usize {
        self.pools * self.event() + 1 + self.profile
    }

    /// Width of the last layer's input.
    pub(crate) fn last(self) -> usize {
        self.hidden + self.input()
    }
}

/// Weights of the user tower.
#[derive(Debug, Clone)]
pub(crate) struct UserTower {
    pub(crate) sizes: Sizes,
    /// `q`, `[H, d + A]`
    pub(crate) queries: Param,
    /// `s`, `[H]`
    pub(crate) sinks: Param,
    /// `W1`, `[input, hidden]`
    pub(crate) w1: Param,
    /// `b1`, `[hidden]`
    pub(crate) b1: Param,
    /// `W2`, `[hidden + input, d]`
    pub(crate) w2: Param,
    /// `b2`, `[d]`
    pub(crate) b2: Param,
}

/// Gradients of the user tower from one shard of a batch, in the order of [`UserTower::params_mut`].
#[derive(Debug, Clone)]
pub(crate) struct UserGrads {
    pub(crate) queries: Vec<f32>,
    pub(crate) sinks: Vec<f32>,
    pub(crate) w1: Vec<f32>,
    pub(crate) b1: Vec<f32>,
    pub(crate) w2: Vec<f32>,
    pub(crate) b2: Vec<f32>,
}

impl UserTower {
    pub(crate) fn new(sizes: Sizes, rng: &mut SmallRng) -> Self {
        let (input, last) = (sizes.input(), sizes.last());
        let layer = |n: usize, fan_in: usize, gain: f32, rng: &mut SmallRng| {
            Param::new(normal(n, (gain / fan_in as f32).sqrt(), rng))
        };
        Self {
            sizes,
            queries: Param::new(normal(sizes.pools * sizes.event(), 0.1, rng)),
            sinks: Param::new(vec![0.0; sizes.pools]),
            w1: layer(input * sizes.hidden, input, 2.0, rng),
            b1: Param::new(vec![0.0; sizes.hidden]),
            w2: layer(last * sizes.dim, last, 1.0, rng),
            b2: Param::new(vec![0.0; sizes.dim]),
        }
    }

    /// Zero gradients of the right sizes.
    pub(crate) fn zero_grads(&self) -> UserGrads {
        let zeros = |p: &Param| vec![0.0; p.weights.len()];
        UserGrads {
            queries: zeros(&self.queries),
            sinks: zeros(&self.sinks),
            w1: zeros(&self.w1),
            b1: zeros(&self.b1),
            w2: zeros(&self.w2),
            b2: zeros(&self.b2),
        }
    }

    /// Adds the gradients of one shard.
    pub(crate) fn add_grads(&mut self, grads: &UserGrads) {
        let parts = [&grads.queries, &grads.sinks, &grads.w1, &grads.b1, &grads.w2, &grads.b2];
        for (param, part) in self.params_mut().into_iter().zip(parts) {
            param.grad.iter_mut().zip(part).for_each(|(g, p)| *g += p);
        }
    }

    /// Takes one step with the gradients added so far.
    pub(crate) fn step(&mut self, step: Step) {
        self.params_mut().into_iter().for_each(|p| p.step(step));
    }

    /// All parameters in a fixed order.
    pub(crate) fn params_mut(&mut self) -> [&mut Param; 6] {
        [&mut self.queries, &mut self.sinks, &mut self.w1, &mut self.b1, &mut self.w2, &mut self.b2]
    }
}
