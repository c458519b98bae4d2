//! A decision tree over raw features.

/// A node; the tree is a list of them with the root first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Node {
    /// Goes `left` where `x <= threshold`, or where `x` is missing and `missing_left`; else `right`.
    Split { feature: u32, threshold: f32, missing_left: bool, left: u32, right: u32, gain: f64 },
    /// What the tree adds to the score.
    Leaf(f32),
}

/// A decision tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

impl Tree {
    /// The value of the leaf that a row falls into.
    pub(crate) fn predict(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf(value) => return value,
                Node::Split { feature, threshold, missing_left, left, right, .. } => {
                    let x = row[feature as usize];
                    let goes_left = if x.is_nan() { missing_left } else { x <= threshold };
                    at = if goes_left { left } else { right } as usize;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_missing_values() {
        let split = Node::Split { feature: 0, threshold: 1.0, missing_left: true, left: 1, right: 2, gain: 1.0 };
        let tree = Tree { nodes: vec![split, Node::Leaf(-1.0), Node::Leaf(1.0)] };
        let got: Vec<f32> = [1.0, 1.1, f32::NAN].iter().map(|&x| tree.predict(&[x])).collect();
        assert_eq!(got, [-1.0, 1.0, -1.0]);
    }
}
