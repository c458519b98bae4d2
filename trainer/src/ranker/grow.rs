//! Growing one tree, leaf by leaf.

use super::bins::Binned;
use super::histogram::{Histograms, Rules, Split, Sums};
use super::tree::{Node, Tree};

/// A leaf that may be split further.
struct Leaf {
    node: usize,
    /// Its rows lie at `rows[start..end]`.
    start: usize,
    end: usize,
    histograms: Histograms,
    bounds: (f64, f64),
    best: Option<Split>,
}

/// What growing a tree needs to know.
pub(crate) struct Grower<'a> {
    pub(crate) binned: &'a Binned,
    /// Features that the tree may use.
    pub(crate) features: &'a [u32],
    pub(crate) leaves: usize,
    pub(crate) shrinkage: f64,
    pub(crate) rules: Rules<'a>,
}

impl Grower<'_> {
    /// Grows a tree on `rows`, which are put in order of leaves.
    ///
    /// The leaf whose best split gains most is split next. The smaller child's histogram is summed over its rows, the
    /// larger one's is the parent's less that.
    pub(crate) fn grow(&self, rows: &mut [u32], gradients: &[(f32, f32)]) -> Tree {
        let mut histograms = Histograms::default();
        histograms.build(self.binned, self.features, rows, gradients);
        let sums = histograms.total();
        let mut nodes = vec![self.leaf_value(sums, self.rules.bounds)];
        let mut leaves = vec![self.leaf(0, (0, rows.len()), histograms, sums, self.rules.bounds)];
        let mut scratch = Vec::new();
        while leaves.len() < self.leaves {
            let gain = |leaf: &Leaf| leaf.best.map_or(f64::NEG_INFINITY, |s| s.gain);
            let Some(at) = (0..leaves.len()).max_by(|&a, &b| gain(&leaves[a]).total_cmp(&gain(&leaves[b]))) else {
                break;
            };
            let Some(split) = leaves[at].best else { break };
            let Leaf { node, start, end, histograms, bounds, .. } = leaves.swap_remove(at);

            let column = self.binned.column(split.feature as usize);
            let middle =
                start + partition(&mut rows[start..end], &mut scratch, |r| split.goes_left(column[r as usize]));
            let (left_bounds, right_bounds) = self.child_bounds(&split, bounds);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes.push(self.leaf_value(split.left, left_bounds));
            nodes.push(self.leaf_value(split.right, right_bounds));
            nodes[node] = Node::Split {
                feature: split.feature,
                threshold: split.threshold(self.binned),
                missing_left: split.missing_left,
                left: left as u32,
                right: right as u32,
                gain: split.gain,
            };
            if leaves.len() + 2 >= self.leaves {
                break; // both children stay leaves: nobody asks for their histograms
            }

            let left_is_smaller = middle - start <= end - middle;
            let small_rows = if left_is_smaller { start..middle } else { middle..end };
            let mut small = Histograms::default();
            small.build(self.binned, self.features, &rows[small_rows], gradients);
            let mut large = histograms;
            large.subtract(&small);
            let (of_left, of_right) = if left_is_smaller { (small, large) } else { (large, small) };
            leaves.push(self.leaf(left, (start, middle), of_left, split.left, left_bounds));
            leaves.push(self.leaf(right, (middle, end), of_right, split.right, right_bounds));
        }
        Tree { nodes }
    }

    fn leaf(
        &self,
        node: usize,
        (start, end): (usize, usize),
        histograms: Histograms,
        sums: Sums,
        bounds: (f64, f64),
    ) -> Leaf {
        let rules = Rules { bounds, ..self.rules };
        let splittable = sums.rows >= 2 * self.rules.min_rows.max(1);
        let best = if splittable { histograms.best_split(self.binned, self.features, sums, &rules) } else { None };
        // A leaf that cannot be split will not need its histograms.
        let histograms = if best.is_some() { histograms } else { Histograms::default() };
        Leaf { node, start, end, histograms, bounds, best }
    }

    fn leaf_value(&self, sums: Sums, bounds: (f64, f64)) -> Node {
        Node::Leaf((self.shrinkage * sums.value(self.rules.l2, bounds)) as f32)
    }

    /// A monotone split caps the lower side and floors the upper one at their middle, for all that grows below.
    fn child_bounds(&self, split: &Split, bounds: (f64, f64)) -> ((f64, f64), (f64, f64)) {
        let direction = self.rules.direction(split.feature);
        let value = |sums: Sums| sums.value(self.rules.l2, bounds);
        let middle = (value(split.left) + value(split.right)) / 2.0;
        match direction {
            0 => (bounds, bounds),
            1.. => ((bounds.0, middle), (middle, bounds.1)),
            _ => ((middle, bounds.1), (bounds.0, middle)),
        }
    }
}

/// Puts the rows that go left first, keeping their order; returns how many there are.
fn partition(rows: &mut [u32], scratch: &mut Vec<u32>, goes_left: impl Fn(u32) -> bool) -> usize {
    scratch.clear();
    let mut left = 0;
    for i in 0..rows.len() {
        let row = rows[i];
        if goes_left(row) {
            rows[left] = row;
            left += 1;
        } else {
            scratch.push(row);
        }
    }
    rows[left..].copy_from_slice(scratch);
    left
}
