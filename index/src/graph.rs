//! The graph segment: immutable, built by hora, laid out flat and searched by us.

mod build;
mod distinct;
mod dump;
mod element;
mod layout;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

pub use build::GraphConfig;
pub(crate) use build::build;

use crate::bits::Bits;
use crate::rows::{Line, Rows};

/// A proximity graph over distinct vectors in flat arrays.
///
/// *Nodes* are distinct vectors, numbered so that neighbours lie near each other in memory; the first `entries`
/// nodes are where every search starts. *Members* are items; those with identical vectors share a node. A member
/// is known by its *position*: a node's first member has the node's own number, all others follow after the last
/// node, in order of their nodes.
pub(crate) struct GraphSegment {
    rows: Rows,
    /// By position: the item.
    members: Vec<u32>,
    /// By node, and one more: where its further members begin, counted after the first members.
    extra_offsets: Vec<u32>,
    /// By node: it has further members.
    several: Bits,
    /// By node, and one more: where its edges begin.
    edge_offsets: Vec<u32>,
    edges: Vec<u32>,
    entries: usize,
    /// Working memory of searches, reused.
    pool: Mutex<Vec<search::Scratch>>,
}

/// The arrays of a [`GraphSegment`], to be checked.
pub(crate) struct GraphParts {
    pub rows: Rows,
    pub members: Vec<u32>,
    pub extra_offsets: Vec<u32>,
    pub edge_offsets: Vec<u32>,
    pub edges: Vec<u32>,
    pub entries: usize,
}

/// What a walk needs of a node beside its vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeInfo {
    /// The first member.
    pub item: u32,
    /// The greatest prior among the members.
    pub prior: f32,
}

impl GraphSegment {
    /// Checks the arrays, on which searches then rely.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn from_parts(parts: GraphParts) -> Result<Self, String> {
        let GraphParts { rows, members, extra_offsets, edge_offsets, edges, entries } = parts;
        let nodes = rows.len();
        let extras = members.len().checked_sub(nodes).ok_or("some nodes have no members")?;
        check_offsets("members", &extra_offsets, nodes, extras)?;
        check_offsets("edges", &edge_offsets, nodes, edges.len())?;
        if let Some(edge) = edges.iter().find(|edge| **edge as usize >= nodes) {
            return Err(format!("an edge leads to node {edge} of {nodes}"));
        }
        if entries == 0 || entries > nodes {
            return Err(format!("{entries} entry nodes of {nodes}"));
        }
        let mut several = Bits::new(nodes);
        (0..nodes).filter(|node| extra_offsets[*node] < extra_offsets[node + 1]).for_each(|node| several.set(node));
        let pool = Mutex::default();
        Ok(Self { rows, members, extra_offsets, several, edge_offsets, edges, entries, pool })
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// By position: the item.
    pub fn members(&self) -> &[u32] {
        &self.members
    }

    pub fn extra_offsets(&self) -> &[u32] {
        &self.extra_offsets
    }

    pub fn edge_offsets(&self) -> &[u32] {
        &self.edge_offsets
    }

    pub fn edges(&self) -> &[u32] {
        &self.edges
    }

    pub fn entries(&self) -> usize {
        self.entries
    }

    pub fn bytes(&self) -> usize {
        let words = self.members.len() + self.extra_offsets.len() + self.edge_offsets.len() + self.edges.len();
        self.rows.bytes() + self.several.bytes() + words * size_of::<u32>()
    }

    #[inline]
    fn neighbours(&self, node: usize) -> &[u32] {
        &self.edges[self.edge_offsets[node] as usize..self.edge_offsets[node + 1] as usize]
    }

    /// The positions of a node's members.
    fn positions(&self, node: usize) -> impl Iterator<Item = usize> {
        let nodes = self.rows.len();
        let extras = self.extra_offsets[node] as usize..self.extra_offsets[node + 1] as usize;
        std::iter::once(node).chain(extras.map(move |extra| nodes + extra))
    }

    /// The node of a position.
    pub fn node_of(&self, position: usize) -> usize {
        match position.checked_sub(self.rows.len()) {
            None => position,
            Some(extra) => self.extra_offsets.partition_point(|offset| *offset as usize <= extra) - 1,
        }
    }

    /// The vector at a position.
    pub fn row_of(&self, position: usize) -> &[Line] {
        self.rows.row(self.node_of(position))
    }

    pub fn node_info(&self, node: usize, prior: impl Fn(u32) -> f32) -> NodeInfo {
        let priors = self.positions(node).map(|position| prior(self.members[position]));
        NodeInfo { item: self.members[node], prior: priors.fold(f32::MIN, f32::max) }
    }

    pub fn node_infos(&self, prior: impl Fn(u32) -> f32) -> Vec<NodeInfo> {
        (0..self.rows.len()).map(|node| self.node_info(node, &prior)).collect()
    }
}

/// Offsets cut `len` things into one run per node, in order.
fn check_offsets(of: &str, offsets: &[u32], nodes: usize, len: usize) -> Result<(), String> {
    let ordered = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends = offsets.first() == Some(&0) && offsets.last().map(|last| *last as usize) == Some(len);
    if offsets.len() == nodes + 1 && ordered && ends { Ok(()) } else { Err(format!("the offsets of {of} are broken")) }
}
