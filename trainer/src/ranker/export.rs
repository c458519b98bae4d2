//! All heads as one ONNX file.

use crate::onnx::{Attribute, Dim, Graph};

use super::Ranker;
use super::tree::Node;

/// The node lists of a `TreeEnsembleRegressor`.
#[derive(Default)]
struct Ensemble {
    tree_ids: Vec<i64>,
    node_ids: Vec<i64>,
    features: Vec<i64>,
    thresholds: Vec<f32>,
    modes: Vec<String>,
    lefts: Vec<i64>,
    rights: Vec<i64>,
    missing_left: Vec<i64>,
    leaf_trees: Vec<i64>,
    leaf_nodes: Vec<i64>,
    leaf_targets: Vec<i64>,
    leaf_values: Vec<f32>,
}

impl Ensemble {
    fn push(&mut self, tree: i64, target: i64, id: i64, node: &Node) {
        self.tree_ids.push(tree);
        self.node_ids.push(id);
        match *node {
            Node::Split { feature, threshold, missing_left, left, right, .. } => {
                self.features.push(i64::from(feature));
                self.thresholds.push(threshold);
                self.modes.push("BRANCH_LEQ".into());
                self.lefts.push(i64::from(left));
                self.rights.push(i64::from(right));
                self.missing_left.push(i64::from(missing_left));
            }
            Node::Leaf(value) => {
                self.features.push(0);
                self.thresholds.push(0.0);
                self.modes.push("LEAF".into());
                self.lefts.push(0);
                self.rights.push(0);
                self.missing_left.push(0);
                self.leaf_trees.push(tree);
                self.leaf_nodes.push(id);
                self.leaf_targets.push(target);
                self.leaf_values.push(value);
            }
        }
    }

    fn attributes(self, targets: i64, bases: Vec<f32>) -> Vec<(&'static str, Attribute)> {
        vec![
            ("n_targets", Attribute::Int(targets)),
            ("aggregate_function", Attribute::Text("SUM".into())),
            ("post_transform", Attribute::Text("NONE".into())),
            ("base_values", Attribute::Floats(bases)),
            ("nodes_treeids", Attribute::Ints(self.tree_ids)),
            ("nodes_nodeids", Attribute::Ints(self.node_ids)),
            ("nodes_featureids", Attribute::Ints(self.features)),
            ("nodes_values", Attribute::Floats(self.thresholds)),
            ("nodes_modes", Attribute::Texts(self.modes)),
            ("nodes_truenodeids", Attribute::Ints(self.lefts)),
            ("nodes_falsenodeids", Attribute::Ints(self.rights)),
            ("nodes_missing_value_tracks_true", Attribute::Ints(self.missing_left)),
            ("target_treeids", Attribute::Ints(self.leaf_trees)),
            ("target_nodeids", Attribute::Ints(self.leaf_nodes)),
            ("target_ids", Attribute::Ints(self.leaf_targets)),
            ("target_weights", Attribute::Floats(self.leaf_values)),
        ]
    }
}

/// One tree ensemble with a target per head, then the sigmoid and the exponential.
pub(crate) fn ranker(model: &Ranker, metadata: &[(String, String)]) -> Vec<u8> {
    let (n, k) = (Dim::Named("N"), model.heads().len());
    let targets = model.models().count() as i64;
    let mut ensemble = Ensemble::default();
    let mut bases = Vec::new();
    let mut tree_id = 0;
    for (target, head) in model.models().enumerate() {
        bases.push(head.base);
        for tree in &head.trees {
            for (id, node) in tree.nodes.iter().enumerate() {
                ensemble.push(tree_id, target as i64, id as i64, node);
            }
            tree_id += 1;
        }
    }
    if tree_id == 0 {
        // The operator needs a tree: one that adds nothing.
        ensemble.push(0, 0, 0, &Node::Leaf(0.0));
    }

    let mut g = Graph::new("ranker");
    let features = g.input_f32("features", &[n.clone(), Dim::Fixed(model.features().len())]);
    let scores = g.ml_node("TreeEnsembleRegressor", &[&features], &ensemble.attributes(targets, bases));
    let (zero, one) = (g.ints(&[0]), g.ints(&[1]));
    let (first, last) = (g.ints(&[k as i64]), g.ints(&[k as i64 + 1]));
    if k > 0 {
        let logits = g.node("Slice", &[&scores, &zero, &first, &one], &[]);
        g.node_named("Sigmoid", &[&logits], "probabilities", &[]);
        g.output_f32("probabilities", &[n.clone(), Dim::Fixed(k)]);
    }
    if model.watch_head().is_some() {
        let log_ms = g.node("Slice", &[&scores, &first, &last, &one], &[]);
        let log_ms = g.node("Squeeze", &[&log_ms, &one], &[]);
        g.node_named("Exp", &[&log_ms], "watch_ms", &[]);
        g.output_f32("watch_ms", &[n]);
    }
    let own = [("features", model.features().join(",")), ("heads", model.heads().join(","))];
    let own = own.into_iter().map(|(key, value)| (key.to_string(), value));
    g.encode(&metadata.iter().cloned().chain(own).collect::<Vec<_>>())
}
