//! The walk: best first from the entry nodes, over flat arrays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::PoisonError;

use super::{GraphSegment, NodeInfo};
use crate::kernel::{Kernel, prefetch};
use crate::snapshot::{GraphView, Scoring};
use crate::topk::{TopK, key, key_id, key_score};

/// Working memory of one search.
#[derive(Default)]
pub(super) struct Scratch {
    /// One bit per node: a search touches few words of it, which stay in the nearest cache.
    seen: Vec<u64>,
    /// The nodes that are seen, for clearing.
    visited: Vec<u32>,
    batch: Vec<u32>,
    scores: Vec<f32>,
    /// Nodes to expand, the best on top.
    frontier: BinaryHeap<u64>,
    /// The best items that may be found, the worst on top.
    best: BinaryHeap<Reverse<u64>>,
}

impl Scratch {
    fn begin(&mut self, nodes: usize) {
        if self.visited.len() < self.seen.len() {
            self.visited.iter().for_each(|node| self.seen[*node as usize / 64] = 0);
        } else {
            self.seen.fill(0);
        }
        self.seen.resize(nodes.div_ceil(64), 0);
        self.visited.clear();
        self.frontier.clear();
        self.best.clear();
    }

    /// Empties the batch and fills it with those of `nodes` that were not seen, asking for what is read next.
    fn fill_batch(&mut self, graph: &GraphView, nodes: impl Iterator<Item = u32>) {
        self.batch.clear();
        for node in nodes {
            let (word, bit) = (&mut self.seen[node as usize / 64], 1 << (node % 64));
            if *word & bit == 0 {
                *word |= bit;
                prefetch(graph.segment.rows.row(node as usize));
                prefetch(&graph.nodes[node as usize..][..1]);
                self.batch.push(node);
            }
        }
        self.visited.extend_from_slice(&self.batch);
        self.scores.resize(self.batch.len(), 0.0);
    }
}

/// A scan of so many nodes costs what one step of `ef` costs (measured: about 16 visits of 40 ns against 5 ns).
const SCAN_PER_EF: usize = 128;

/// More visits per `ef` than a walk makes without a filter (16 to 31 are usual).
const WALK_PER_EF: usize = 48;

/// Scratches kept for reuse; more searches at once than this allocate their own.
const POOL: usize = 64;

impl GraphSegment {
    fn take_scratch(&self) -> Scratch {
        let mut scratch = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        scratch.begin(self.rows.len());
        scratch
    }

    fn give_scratch(&self, scratch: Scratch) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL {
            pool.push(scratch);
        }
    }
}

impl GraphView {
    /// Offers to `top` the best items that a walk of width `ef` finds.
    ///
    /// A scan, which misses nothing, is done instead where it is cheaper: where the graph is small for that width,
    /// and where the walk has seen an eighth of the nodes and more than it would without a filter.
    pub fn search(&self, scoring: &Scoring<'_>, ef: usize, filter: &impl Fn(u32) -> bool, top: &mut TopK) {
        if self.segment.rows.len() <= ef.saturating_mul(SCAN_PER_EF) {
            return self.scan(scoring, filter, top);
        }
        let mut scratch = self.segment.take_scratch();
        if self.walk(scoring, ef, filter, &mut scratch) {
            for Reverse(key) in &scratch.best {
                top.push(key_score(*key), key_id(*key));
            }
        } else {
            self.scan(scoring, filter, top);
        }
        self.segment.give_scratch(scratch);
    }

    /// Fills `scratch.best`; false if it gave up.
    fn walk(&self, scoring: &Scoring<'_>, ef: usize, filter: &impl Fn(u32) -> bool, scratch: &mut Scratch) -> bool {
        let graph = &*self.segment;
        let kernel = Kernel::best();
        let mut budget = (graph.rows.len() / 8).max(WALK_PER_EF.saturating_mul(ef));

        scratch.fill_batch(self, 0..graph.entries as u32);
        kernel.scan(scoring.query, graph.rows.prefix(graph.entries), &mut scratch.scores);
        loop {
            let Some(left) = budget.checked_sub(scratch.batch.len()) else { return false };
            budget = left;
            self.weigh(scoring, ef, filter, scratch);
            let Some(node) = scratch.frontier.pop() else { return true };
            if scratch.best.len() >= ef && key_score(node) < bound(&scratch.best) {
                return true;
            }
            if let Some(next) = scratch.frontier.peek() {
                prefetch(graph.neighbours(key_id(*next) as usize));
            }
            scratch.fill_batch(self, graph.neighbours(key_id(node) as usize).iter().copied());
            kernel.gather(scoring.query, graph.rows.lines(), &scratch.batch, &mut scratch.scores);
        }
    }

    /// Turns the batch's inner products into scores, and puts nodes and items where they belong.
    fn weigh(&self, scoring: &Scoring<'_>, ef: usize, filter: &impl Fn(u32) -> bool, scratch: &mut Scratch) {
        let Scratch { batch, scores, frontier, best, .. } = scratch;
        for (node, inner) in batch.iter().zip(scores) {
            let score = *inner + scoring.weight * self.nodes[*node as usize].prior;
            if best.len() >= ef && score < bound(best) {
                continue;
            }
            frontier.push(key(score, *node));
            prefetch(&self.segment.edge_offsets[*node as usize..][..2]);
            self.each_live(*node as usize, *inner, scoring, |item, score| {
                if (best.len() < ef || score >= bound(best)) && filter(item) {
                    best.push(Reverse(key(score, item)));
                    if best.len() > ef {
                        best.pop();
                    }
                }
            });
        }
    }

    /// Calls `f` with every live item of a node and its score.
    #[inline]
    fn each_live(&self, node: usize, inner: f32, scoring: &Scoring<'_>, mut f: impl FnMut(u32, f32)) {
        if !self.segment.several.get(node) {
            if !self.dead.get(node) {
                let NodeInfo { item, prior } = self.nodes[node];
                f(item, inner + scoring.weight * prior);
            }
            return;
        }
        for position in self.segment.positions(node) {
            if !self.dead.get(position) {
                let item = self.segment.members[position];
                f(item, inner + scoring.prior(item));
            }
        }
    }

    /// Offers every live item that passes the filter, scored exactly.
    fn scan(&self, scoring: &Scoring<'_>, filter: &impl Fn(u32) -> bool, top: &mut TopK) {
        let graph = &*self.segment;
        let mut scores = [0.0; 256];
        for first in (0..graph.rows.len()).step_by(scores.len()) {
            let nodes = scores.len().min(graph.rows.len() - first);
            let rows = &graph.rows.lines()[first * scoring.query.len()..];
            Kernel::best().scan(scoring.query, rows, &mut scores[..nodes]);
            for (node, inner) in (first..first + nodes).zip(&scores) {
                self.each_live(node, *inner, scoring, |item, score| {
                    if score >= top.threshold() && filter(item) {
                        top.push(score, item);
                    }
                });
            }
        }
    }
}

/// The score that an item must reach to be among the best.
fn bound(best: &BinaryHeap<Reverse<u64>>) -> f32 {
    best.peek().map_or(f32::NEG_INFINITY, |Reverse(key)| key_score(*key))
}
