//! The exact segment: new and changed vectors, seen by the next search, scanned in full.
//!
//! Rows live in blocks of 128 that snapshots share; a change copies one block. A removal moves the last row into
//! the gap, so the segment is always dense and holds no tombstones.

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::rows::{Line, Rows};
use crate::snapshot::Scoring;
use crate::topk::TopK;

const BLOCK: usize = 128;

/// Up to 128 vectors and their items.
#[derive(Clone, Debug)]
struct Block {
    rows: Rows,
    items: Vec<u32>,
}

/// Vectors with their items. Row numbers are dense, and change when rows are removed.
#[derive(Clone, Debug)]
pub(crate) struct ExactSegment {
    dim: usize,
    blocks: Vec<Arc<Block>>,
    len: usize,
}

impl ExactSegment {
    pub fn new(dim: usize) -> Self {
        Self { dim, blocks: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.bytes() + block.items.capacity() * size_of::<u32>()).sum()
    }

    pub fn item(&self, row: usize) -> u32 {
        self.blocks[row / BLOCK].items[row % BLOCK]
    }

    pub fn row(&self, row: usize) -> &[Line] {
        self.blocks[row / BLOCK].rows.row(row % BLOCK)
    }

    /// Every item with its row's lines.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[Line])> {
        self.blocks.iter().flat_map(|block| block.items.iter().enumerate().map(|(i, item)| (*item, block.rows.row(i))))
    }

    /// Appends an item; gives its row.
    pub fn push(&mut self, item: u32, lines: &[Line]) -> usize {
        let row = self.len;
        if row / BLOCK == self.blocks.len() {
            let block = Block { rows: Rows::with_capacity(self.dim, BLOCK), items: Vec::with_capacity(BLOCK) };
            self.blocks.push(Arc::new(block));
        }
        let block = Arc::make_mut(&mut self.blocks[row / BLOCK]);
        block.rows.push_row(lines);
        block.items.push(item);
        self.len += 1;
        row
    }

    /// Replaces the vector of a row.
    pub fn set(&mut self, row: usize, lines: &[Line]) {
        Arc::make_mut(&mut self.blocks[row / BLOCK]).rows.set(row % BLOCK, lines);
    }

    /// Removes a row; gives the item that took its place, if one did.
    pub fn swap_remove(&mut self, row: usize) -> Option<u32> {
        let last = self.len - 1;
        let moved = (row != last).then(|| self.item(last));
        if let Some(item) = moved {
            let lines = self.row(last).to_vec();
            let block = Arc::make_mut(&mut self.blocks[row / BLOCK]);
            block.rows.set(row % BLOCK, &lines);
            block.items[row % BLOCK] = item;
        }
        let block = Arc::make_mut(&mut self.blocks[last / BLOCK]);
        block.rows.pop();
        block.items.pop();
        if block.items.is_empty() {
            self.blocks.pop();
        }
        self.len = last;
        moved
    }

    /// Offers every item that passes `filter` to `top`. The filter sees only items that would be among the best.
    pub fn scan(&self, scoring: &Scoring<'_>, filter: &impl Fn(u32) -> bool, top: &mut TopK) {
        let kernel = Kernel::best();
        let mut scores = [0.0; BLOCK];
        for block in &self.blocks {
            let scores = &mut scores[..block.items.len()];
            kernel.scan(scoring.query, block.rows.lines(), scores);
            for (item, inner) in block.items.iter().zip(scores) {
                let score = *inner + scoring.prior(*item);
                if score >= top.threshold() && filter(*item) {
                    top.push(score, *item);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(x: f32) -> Vec<Line> {
        Line::pad(&[x, 1.0])
    }

    #[test]
    fn removal_keeps_rows_dense_and_clones_apart() {
        let mut exact = ExactSegment::new(2);
        for item in 0..300 {
            assert_eq!(exact.push(item, &lines(item as f32)), item as usize);
        }
        let before = exact.clone();
        assert_eq!(exact.swap_remove(5), Some(299));
        assert_eq!(exact.swap_remove(298), None);
        exact.set(0, &lines(-1.0));
        assert_eq!((exact.len(), exact.item(5), exact.row(5)[0].0[0]), (298, 299, 299.0));
        assert_eq!((before.len(), before.item(5), before.row(0)[0].0[0]), (300, 5, 0.0));
        for _ in 0..298 {
            exact.swap_remove(0);
        }
        assert_eq!((exact.len(), exact.iter().count(), exact.blocks.len()), (0, 0, 0));
    }

    #[test]
    fn scan_is_exact() {
        let mut exact = ExactSegment::new(2);
        for item in 0..1000 {
            exact.push(item, &lines(((item * 7919) % 1000) as f32));
        }
        let query = Line::pad(&[1.0, 0.0]);
        let priors = vec![0.0; 10];
        let mut top = TopK::new(3);
        exact.scan(&Scoring { query: &query, priors: &priors, weight: 1.0 }, &|item| item % 2 == 0, &mut top);
        let scores: Vec<f32> = top.into_hits().iter().map(|hit| hit.score).collect();
        assert_eq!(scores, [998.0, 996.0, 994.0]);
    }
}
