//! The walk: best first from the entry nodes, over flat arrays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::PoisonError;

use super::GraphSegment;
use crate::kernel::{Kernel, prefetch};
use crate::snapshot::{GraphView, Scoring};
use crate::topk::{TopK, key, key_id, key_score};

/// Working memory of one search.
#[derive(Default)]
pub(super) struct Scratch {
    /// The number of the search, never 0.
    epoch: u32,
    /// By node: the epoch that last saw it.
    seen: Vec<u32>,
    batch: Vec<u32>,
    scores: Vec<f32>,
    /// Nodes to expand, the best on top.
    frontier: BinaryHeap<u64>,
    /// The best items that may be found, the worst on top.
    best: BinaryHeap<Reverse<u64>>,
}

impl Scratch {
    fn begin(&mut self, nodes: usize) {
        self.seen.resize(nodes, 0);
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
        self.frontier.clear();
        self.best.clear();
    }

    /// True once per node and search.
    fn visit(&mut self, node: u32) -> bool {
        std::mem::replace(&mut self.seen[node as usize], self.epoch) != self.epoch
    }
}

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
    /// A filter that lets few items pass makes the walk long. When it has seen an eighth of the nodes, a scan of
    /// all is cheaper and exact, and is done instead.
    pub fn search(&self, scoring: &Scoring<'_>, ef: usize, filter: &impl Fn(u32) -> bool, top: &mut TopK) {
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
        let mut budget = (graph.rows.len() / 8).max(graph.entries);

        scratch.batch.clear();
        for entry in 0..graph.entries as u32 {
            scratch.visit(entry);
            scratch.batch.push(entry);
        }
        scratch.scores.resize(graph.entries, 0.0);
        kernel.scan(scoring.query, graph.rows.prefix(graph.entries), &mut scratch.scores);
        loop {
            let Some(left) = budget.checked_sub(scratch.batch.len()) else { return false };
            budget = left;
            self.weigh(scoring, ef, filter, scratch);
            let Some(node) = scratch.frontier.pop() else { return true };
            if scratch.best.len() >= ef && key_score(node) < bound(&scratch.best) {
                return true;
            }
            scratch.batch.clear();
            for next in graph.neighbours(key_id(node) as usize) {
                if scratch.visit(*next) {
                    prefetch(graph.rows.row(*next as usize));
                    scratch.batch.push(*next);
                }
            }
            scratch.scores.resize(scratch.batch.len(), 0.0);
            kernel.gather(scoring.query, graph.rows.lines(), &scratch.batch, &mut scratch.scores);
        }
    }

    /// Turns the batch's inner products into scores, and puts nodes and items where they belong.
    fn weigh(&self, scoring: &Scoring<'_>, ef: usize, filter: &impl Fn(u32) -> bool, scratch: &mut Scratch) {
        let Scratch { batch, scores, frontier, best, .. } = scratch;
        for (node, inner) in batch.iter().zip(scores) {
            let score = *inner + scoring.weight * self.node_priors[*node as usize];
            if best.len() >= ef && score < bound(best) {
                continue;
            }
            frontier.push(key(score, *node));
            self.each_live(*node as usize, |item| {
                let score = *inner + scoring.prior(item);
                if (best.len() < ef || score >= bound(best)) && filter(item) {
                    best.push(Reverse(key(score, item)));
                    if best.len() > ef {
                        best.pop();
                    }
                }
            });
        }
    }

    /// Calls `f` with every live item of a node.
    fn each_live(&self, node: usize, mut f: impl FnMut(u32)) {
        for position in self.segment.positions(node) {
            if !self.dead.get(position) {
                f(self.segment.members[position]);
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
                self.each_live(node, |item| {
                    let score = *inner + scoring.prior(item);
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
