//! Reads the trees out of an ONNX file that our trainer wrote.

use foryou_trainer::onnx::proto::{ModelProto, NodeProto};
use prost::Message;

use super::{Feature, Forest, MAX_LEAVES, MAX_THRESHOLDS, Split, Tree};

impl Forest {
    /// The compiled form of `onnx`; `None` where it is anything else than one tree ensemble, a sigmoid over its first `heads`
    /// sums, and an exponential over one more.
    pub fn compile(onnx: &[u8], features: usize, heads: usize) -> Option<Self> {
        let graph = ModelProto::decode(onnx).ok()?.graph?;
        let (ensembles, rest): (Vec<_>, Vec<_>) = graph.node.iter().partition(|n| n.op_type == "TreeEnsembleRegressor");
        let ours = rest.iter().all(|n| matches!(n.op_type.as_str(), "Slice" | "Sigmoid" | "Squeeze" | "Exp"));
        let [ensemble] = ensembles[..] else { return None };
        let nodes = Nodes::of(ensemble)?;
        if !ours || !(nodes.targets == heads || nodes.targets == heads + 1) {
            return None;
        }
        let bins = nodes.thresholds(features)?;
        let mut forest = Self {
            features,
            bins,
            trees: Vec::new(),
            splits: Vec::new(),
            leaves: Vec::new(),
            bases: nodes.bases.to_vec(),
            heads,
        };
        for range in nodes.tree_ranges() {
            forest.add_tree(&nodes, range)?;
        }
        Some(forest)
    }

    fn add_tree(&mut self, nodes: &Nodes<'_>, range: std::ops::Range<usize>) -> Option<()> {
        let from = self.splits.len() as u32;
        let mut walk = Walk { nodes, root: range.start, until: range.end, target: None, leaves: Vec::new(), depth: 0 };
        walk.below(0, self)?;
        let mut leaves = [0.0; MAX_LEAVES];
        leaves[..walk.leaves.len()].copy_from_slice(&walk.leaves);
        self.trees.push(Tree { from, to: self.splits.len() as u32, target: walk.target? });
        self.leaves.push(leaves);
        Some(())
    }
}

/// Numbers the leaves of one tree from left to right.
struct Walk<'a> {
    nodes: &'a Nodes<'a>,
    root: usize,
    until: usize,
    target: Option<u32>,
    leaves: Vec<f32>,
    depth: usize,
}

impl Walk<'_> {
    /// Appends the leaves and splits below node `id`.
    fn below(&mut self, id: usize, forest: &mut Forest) -> Option<()> {
        let at = self.root.checked_add(id).filter(|at| *at < self.until)?;
        self.depth += 1;
        if self.depth > MAX_LEAVES {
            return None;
        }
        if self.nodes.modes[at].as_slice() == b"LEAF" {
            let (target, value) = self.nodes.leaf(at)?;
            if self.leaves.len() == MAX_LEAVES || self.target.is_some_and(|t| t != target) {
                return None;
            }
            self.target = Some(target);
            self.leaves.push(value);
        } else {
            let first = self.leaves.len();
            self.below(usize::try_from(self.nodes.lefts[at]).ok()?, forest)?;
            let left = bits(first..self.leaves.len());
            let (feature, threshold) = (self.nodes.feature(at)?, self.nodes.values[at]);
            let column = forest.bins.iter().position(|f| f.column == feature)?;
            let bin = forest.bins[column].thresholds.iter().position(|t| *t == threshold)?;
            let missing_left = self.nodes.missing_left.get(at).is_some_and(|m| *m != 0);
            let column = u16::try_from(2 * column + usize::from(missing_left)).ok()?;
            forest.splits.push(Split { column, bin: u8::try_from(bin).ok()?, left });
            self.below(usize::try_from(self.nodes.rights[at]).ok()?, forest)?;
        }
        self.depth -= 1;
        Some(())
    }
}

fn bits(range: std::ops::Range<usize>) -> u32 {
    range.fold(0, |mask, bit| mask | 1 << bit)
}

/// The attributes of a `TreeEnsembleRegressor`, one entry per node; leaves have one weight each.
struct Nodes<'a> {
    targets: usize,
    bases: &'a [f32],
    trees: &'a [i64],
    features: &'a [i64],
    values: &'a [f32],
    modes: &'a [Vec<u8>],
    lefts: &'a [i64],
    rights: &'a [i64],
    missing_left: &'a [i64],
    /// For each node the position of its leaf entry, if it is a leaf.
    leaf_of: Vec<Option<usize>>,
    leaf_targets: &'a [i64],
    leaf_values: &'a [f32],
}

impl<'a> Nodes<'a> {
    fn of(node: &'a NodeProto) -> Option<Self> {
        let find = |name: &str| node.attribute.iter().find(|a| a.name == name);
        let ints = |name: &str| find(name).map(|a| a.ints.as_slice());
        let text = |name: &str, default: &'static [u8]| find(name).and_then(|a| a.s.as_deref()).unwrap_or(default);
        let targets = usize::try_from(find("n_targets")?.i?).ok()?;
        if text("aggregate_function", b"SUM") != b"SUM" || text("post_transform", b"NONE") != b"NONE" {
            return None;
        }
        let (trees, ids) = (ints("nodes_treeids")?, ints("nodes_nodeids")?);
        let (leaf_trees, leaf_nodes) = (ints("target_treeids")?, ints("target_nodeids")?);
        let nodes = Self {
            targets,
            bases: &find("base_values")?.floats,
            trees,
            features: ints("nodes_featureids")?,
            values: &find("nodes_values")?.floats,
            modes: &find("nodes_modes")?.strings,
            lefts: ints("nodes_truenodeids")?,
            rights: ints("nodes_falsenodeids")?,
            missing_left: ints("nodes_missing_value_tracks_true").unwrap_or(&[]),
            leaf_of: leaf_of(trees, ids, leaf_trees, leaf_nodes)?,
            leaf_targets: ints("target_ids")?,
            leaf_values: &find("target_weights")?.floats,
        };
        let n = trees.len();
        let lengths =
            [nodes.features.len(), nodes.values.len(), nodes.modes.len(), nodes.lefts.len(), nodes.rights.len()];
        let leaves = [nodes.leaf_targets.len(), nodes.leaf_values.len()];
        let known = |mode: &Vec<u8>| mode.as_slice() == b"LEAF" || mode.as_slice() == b"BRANCH_LEQ";
        let sound = lengths.iter().all(|len| *len == n)
            && leaves.iter().all(|len| *len == leaf_nodes.len())
            && nodes.bases.len() == targets
            && nodes.modes.iter().all(known);
        sound.then_some(nodes)
    }

    /// Used features with their distinct thresholds.
    fn thresholds(&self, features: usize) -> Option<Vec<Feature>> {
        let mut all: Vec<Vec<f32>> = vec![Vec::new(); features];
        for at in (0..self.trees.len()).filter(|at| self.modes[*at].as_slice() != b"LEAF") {
            let value = self.values[at];
            all.get_mut(self.feature(at)?).filter(|_| value.is_finite())?.push(value);
        }
        let mut used = Vec::new();
        for (feature, mut thresholds) in all.into_iter().enumerate().filter(|(_, t)| !t.is_empty()) {
            thresholds.sort_by(f32::total_cmp);
            thresholds.dedup();
            if thresholds.len() > MAX_THRESHOLDS {
                return None;
            }
            let half = (thresholds.len() + 1).next_power_of_two() as u32 / 2;
            let mut filled = Box::new([f32::INFINITY; 256]);
            filled[..thresholds.len()].copy_from_slice(&thresholds);
            used.push(Feature { column: feature, thresholds: filled, half });
        }
        Some(used)
    }

    /// Each tree's nodes, which stand together.
    fn tree_ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut end = 0;
        self.trees.chunk_by(|a, b| a == b).map(move |tree| {
            let start = end;
            end += tree.len();
            start..end
        })
    }

    fn feature(&self, at: usize) -> Option<usize> {
        usize::try_from(self.features[at]).ok()
    }

    fn leaf(&self, at: usize) -> Option<(u32, f32)> {
        let leaf = self.leaf_of[at]?;
        let target = u32::try_from(self.leaf_targets[leaf]).ok().filter(|t| (*t as usize) < self.targets)?;
        Some((target, self.leaf_values[leaf]))
    }
}

/// Finds each node's leaf entry. `None` where node ids do not count from 0 within a tree, or a leaf has two weights.
fn leaf_of(trees: &[i64], ids: &[i64], leaf_trees: &[i64], leaf_nodes: &[i64]) -> Option<Vec<Option<usize>>> {
    if trees.len() != ids.len() || leaf_trees.len() != leaf_nodes.len() {
        return None;
    }
    let mut places = std::collections::HashMap::new();
    let (mut tree, mut next) = (None, 0);
    for (at, (t, id)) in trees.iter().zip(ids).enumerate() {
        next = if tree == Some(*t) { next + 1 } else { 0 };
        tree = Some(*t);
        if *id != next || places.insert((*t, *id), at).is_some() {
            return None;
        }
    }
    let mut leaf_of = vec![None; trees.len()];
    for (leaf, key) in leaf_trees.iter().copied().zip(leaf_nodes.iter().copied()).enumerate() {
        let place: &mut Option<usize> = leaf_of.get_mut(*places.get(&key)?)?;
        if place.replace(leaf).is_some() {
            return None;
        }
    }
    Some(leaf_of)
}
