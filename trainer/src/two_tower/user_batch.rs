//! The user tower over a batch of people: forward and backward.

use crate::gemm::{View, gemm};

use super::user_tower::{COUNT_SCALE, SCORE_LIMIT, UserGrads, UserTower};

/// One event as the tower sees it: a row of the vectors at hand and its standardised actions.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    /// Row of the vector matrix.
    pub(crate) vector: u32,
    /// `[A]`
    pub(crate) actions: &'a [f32],
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug, Default)]
pub(crate) struct UserBatch {
    people: usize,
    /// `[people, hidden + input]`: the hidden layer and, behind it, `z`.
    last: Vec<f32>,
    /// `[people, hidden]`: 0 where a unit is off or dropped, else its dropout scale.
    gates: Vec<f32>,
    /// Event weights `w`, `[events, H]`, and where each person's begin.
    weights: Vec<f32>,
    offsets: Vec<usize>,
    /// `sum w + exp(s)`, `[people, H]`.
    totals: Vec<f32>,
}

impl UserBatch {
    /// Pools every history and runs the perceptron: writes `u`, `[people, d]`.
    ///
    /// `vectors` is `[M, d + 1]`, `[v, b]` per row. `keep` gives the dropout scale of a hidden unit (1 to keep, 0 to drop).
    pub(crate) fn forward<'a>(
        &mut self,
        tower: &UserTower,
        vectors: &[f32],
        people: &[(Vec<Event<'a>>, &'a [f32])],
        mut keep: impl FnMut() -> f32,
        users: &mut Vec<f32>,
    ) {
        let s = tower.sizes;
        let (input, last) = (s.input(), s.last());
        self.people = people.len();
        self.last.clear();
        self.last.resize(people.len() * last, 0.0);
        self.weights.clear();
        self.offsets.clear();
        self.totals.clear();
        for (row, (events, profile)) in self.last.chunks_exact_mut(last).zip(people) {
            let z = &mut row[s.hidden..];
            self.offsets.push(self.weights.len());
            let at = self.totals.len();
            self.totals.extend(tower.sinks.weights.iter().map(|s| s.clamp(-SCORE_LIMIT, SCORE_LIMIT).exp()));
            for event in events {
                let v = vector(vectors, event.vector, s.dim);
                for (h, query) in tower.queries.weights.chunks_exact(s.event()).enumerate() {
                    let score = dot(&query[..s.dim], v) + dot(&query[s.dim..], event.actions);
                    let w = score.clamp(-SCORE_LIMIT, SCORE_LIMIT).exp();
                    self.weights.push(w);
                    self.totals[at + h] += w;
                    let pool = &mut z[h * s.event()..(h + 1) * s.event()];
                    add(&mut pool[..s.dim], v, w);
                    add(&mut pool[s.dim..], event.actions, w);
                }
            }
            for (pool, total) in z.chunks_exact_mut(s.event()).zip(&self.totals[at..]) {
                pool.iter_mut().for_each(|x| *x /= total);
            }
            z[s.pools * s.event()] = COUNT_SCALE * (events.len() as f32).ln_1p();
            z[s.pools * s.event() + 1..].copy_from_slice(profile);
        }

        let n = people.len();
        let z: Vec<f32> = self.last.chunks_exact(last).flat_map(|row| &row[s.hidden..]).copied().collect();
        let mut hidden = vec![0.0; n * s.hidden];
        gemm(1.0, View::new(&z, n, input), View::new(&tower.w1.weights, input, s.hidden), 0.0, &mut hidden);
        self.gates.clear();
        for (row, hidden) in self.last.chunks_exact_mut(last).zip(hidden.chunks_exact(s.hidden)) {
            for ((out, x), bias) in row.iter_mut().zip(hidden).zip(&tower.b1.weights) {
                let gate = if x + bias > 0.0 { keep() } else { 0.0 };
                self.gates.push(gate);
                *out = gate * (x + bias);
            }
        }
        users.clear();
        (0..n).for_each(|_| users.extend_from_slice(&tower.b2.weights));
        gemm(1.0, View::new(&self.last, n, last), View::new(&tower.w2.weights, last, s.dim), 1.0, users);
    }

    /// From the gradient of `u`, `[people, d]`: adds to the tower's gradients and to those of the vectors, `[M, d + 1]`.
    pub(crate) fn backward<'a>(
        &self,
        tower: &UserTower,
        vectors: &[f32],
        people: &[(Vec<Event<'a>>, &'a [f32])],
        users_grad: &[f32],
        grads: &mut UserGrads,
        vectors_grad: &mut [f32],
    ) {
        let s = tower.sizes;
        let (n, input, last) = (self.people, s.input(), s.last());
        let du = View::new(users_grad, n, s.dim);
        gemm(1.0, View::new(&self.last, n, last).t(), du, 1.0, &mut grads.w2);
        users_grad.chunks_exact(s.dim).for_each(|row| add(&mut grads.b2, row, 1.0));
        let mut last_grad = vec![0.0; n * last];
        gemm(1.0, du, View::new(&tower.w2.weights, last, s.dim).t(), 0.0, &mut last_grad);

        let mut hidden_grad = Vec::with_capacity(n * s.hidden);
        let (mut z, mut z_grad) = (Vec::with_capacity(n * input), Vec::with_capacity(n * input));
        for (i, (row, grad)) in self.last.chunks_exact(last).zip(last_grad.chunks_exact(last)).enumerate() {
            let gates = &self.gates[i * s.hidden..(i + 1) * s.hidden];
            hidden_grad.extend(grad.iter().zip(gates).map(|(g, gate)| g * gate));
            z.extend_from_slice(&row[s.hidden..]);
            z_grad.extend_from_slice(&grad[s.hidden..]);
        }
        let dh = View::new(&hidden_grad, n, s.hidden);
        gemm(1.0, View::new(&z, n, input).t(), dh, 1.0, &mut grads.w1);
        hidden_grad.chunks_exact(s.hidden).for_each(|row| add(&mut grads.b1, row, 1.0));
        gemm(1.0, dh, View::new(&tower.w1.weights, input, s.hidden).t(), 1.0, &mut z_grad);

        for (i, (events, _)) in people.iter().enumerate() {
            let (z, dz) = (&z[i * input..], &z_grad[i * input..]);
            for h in 0..s.pools {
                let total = self.totals[i * s.pools + h];
                let pool = h * s.event()..(h + 1) * s.event();
                let (p, dp) = (&z[pool.clone()], &dz[pool.clone()]);
                let (query, query_grad) = (&tower.queries.weights[pool.clone()], &mut grads.queries[pool]);
                let dp_p = dot(dp, p);
                // p = sum w x / total, so the sink's derivative is that of an event at the origin.
                grads.sinks[h] -= tower.sinks.weights[h].clamp(-SCORE_LIMIT, SCORE_LIMIT).exp() / total * dp_p;
                for (l, event) in events.iter().enumerate() {
                    let share = self.weights[self.offsets[i] + l * s.pools + h] / total;
                    let v = vector(vectors, event.vector, s.dim);
                    let dscore = share * (dot(&dp[..s.dim], v) + dot(&dp[s.dim..], event.actions) - dp_p);
                    add(&mut query_grad[..s.dim], v, dscore);
                    add(&mut query_grad[s.dim..], event.actions, dscore);
                    let at = event.vector as usize * (s.dim + 1);
                    let dv = &mut vectors_grad[at..at + s.dim];
                    for ((dv, dp), q) in dv.iter_mut().zip(dp).zip(query) {
                        *dv += share * dp + dscore * q;
                    }
                }
            }
        }
    }
}

fn vector(vectors: &[f32], row: u32, dim: usize) -> &[f32] {
    let at = row as usize * (dim + 1);
    &vectors[at..at + dim]
}

/// Eight running sums, so that the compiler may use vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn add(out: &mut [f32], x: &[f32], factor: f32) {
    out.iter_mut().zip(x).for_each(|(o, x)| *o += factor * x);
}
