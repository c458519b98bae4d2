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

use crate::rows::{Line, Rows};

/// A proximity graph over distinct vectors in flat arrays.
///
/// *Nodes* are distinct vectors, numbered so that neighbours lie near each other in memory; the first `entries`
/// nodes are where every search starts. *Members* are items; those with identical vectors share a node. A member
/// is known by its *position*, nodes hold consecutive positions.
pub(crate) struct GraphSegment {
    rows: Rows,
    /// By node, and one more: where its members begin.
    member_offsets: Vec<u32>,
    /// By position: the item.
    members: Vec<u32>,
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
    pub member_offsets: Vec<u32>,
    pub members: Vec<u32>,
    pub edge_offsets: Vec<u32>,
    pub edges: Vec<u32>,
    pub entries: usize,
}

impl GraphSegment {
    /// Checks the arrays, on which searches then rely.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn from_parts(parts: GraphParts) -> Result<Self, String> {
        let GraphParts { rows, member_offsets, members, edge_offsets, edges, entries } = parts;
        let nodes = rows.len();
        check_offsets("members", &member_offsets, nodes, members.len())?;
        check_offsets("edges", &edge_offsets, nodes, edges.len())?;
        if let Some(edge) = edges.iter().find(|edge| **edge as usize >= nodes) {
            return Err(format!("an edge leads to node {edge} of {nodes}"));
        }
        if entries == 0 || entries > nodes {
            return Err(format!("{entries} entry nodes of {nodes}"));
        }
        Ok(Self { rows, member_offsets, members, edge_offsets, edges, entries, pool: Mutex::default() })
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    pub fn member_offsets(&self) -> &[u32] {
        &self.member_offsets
    }

    /// By position: the item.
    pub fn members(&self) -> &[u32] {
        &self.members
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
        let words = self.member_offsets.len() + self.members.len() + self.edge_offsets.len() + self.edges.len();
        self.rows.bytes() + words * size_of::<u32>()
    }

    /// The positions of a node's members.
    fn positions(&self, node: usize) -> std::ops::Range<usize> {
        self.member_offsets[node] as usize..self.member_offsets[node + 1] as usize
    }

    fn neighbours(&self, node: usize) -> &[u32] {
        &self.edges[self.edge_offsets[node] as usize..self.edge_offsets[node + 1] as usize]
    }

    /// The node of a position.
    pub fn node_of(&self, position: usize) -> usize {
        self.member_offsets.partition_point(|offset| *offset as usize <= position) - 1
    }

    /// The vector at a position.
    pub fn row_of(&self, position: usize) -> &[Line] {
        self.rows.row(self.node_of(position))
    }

    /// Every item with its vector, by position.
    pub fn members_with_rows(&self) -> impl Iterator<Item = (u32, &[Line])> {
        (0..self.rows.len()).flat_map(move |node| {
            self.positions(node).map(move |position| (self.members[position], self.rows.row(node)))
        })
    }

    /// The greatest prior among a node's members.
    pub fn node_prior(&self, node: usize, prior: impl Fn(u32) -> f32) -> f32 {
        self.members[self.positions(node)].iter().map(|item| prior(*item)).fold(f32::MIN, f32::max)
    }

    /// By node: the greatest prior among its members.
    pub fn node_priors(&self, prior: impl Fn(u32) -> f32) -> Vec<f32> {
        (0..self.rows.len()).map(|node| self.node_prior(node, &prior)).collect()
    }
}

/// Offsets cut `len` things into one non-empty or empty run per node, in order.
fn check_offsets(of: &str, offsets: &[u32], nodes: usize, len: usize) -> Result<(), String> {
    let ordered = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends = offsets.first() == Some(&0) && offsets.last().map(|last| *last as usize) == Some(len);
    if offsets.len() == nodes + 1 && ordered && ends { Ok(()) } else { Err(format!("the offsets of {of} are broken")) }
}
