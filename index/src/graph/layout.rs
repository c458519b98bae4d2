//! From hora's numbering to ours: neighbours close in memory, entry nodes first, every node reachable.
//!
//! Of hora's levels only the sparsest few nodes are kept, as entry nodes that a search scores in one sweep: as
//! good as descending the levels, without their chain of cache misses.

use std::collections::VecDeque;

use super::dump::HoraGraph;

/// A new numbering and the edges in it.
pub(super) struct Layout {
    /// By new number: hora's number.
    pub order: Vec<u32>,
    pub offsets: Vec<u32>,
    pub edges: Vec<u32>,
    /// The first so many nodes are where searches start.
    pub entries: usize,
}

/// Lays out a graph breadth first from its entry nodes.
///
/// hora's pruning leaves some nodes without an edge that leads to them. Each gets one, from a node it leads to.
pub(super) fn layout(graph: &HoraGraph) -> Layout {
    let nodes = graph.levels.len();
    let neighbours =
        |node: u32| &graph.edges[graph.offsets[node as usize] as usize..graph.offsets[node as usize + 1] as usize];

    let mut order = entry_nodes(&graph.levels);
    let entries = order.len();
    let mut seen = vec![false; nodes];
    order.iter().for_each(|node| seen[*node as usize] = true);
    let mut queue: VecDeque<u32> = order.iter().copied().collect();
    let mut repairs: Vec<(u32, u32)> = Vec::new();
    let mut unseen = 0..nodes as u32;
    loop {
        while let Some(node) = queue.pop_front() {
            for next in neighbours(node) {
                if !std::mem::replace(&mut seen[*next as usize], true) {
                    order.push(*next);
                    queue.push_back(*next);
                }
            }
        }
        let Some(lost) = unseen.find(|node| !seen[*node as usize]) else { break };
        let from = neighbours(lost).iter().copied().find(|node| seen[*node as usize]).unwrap_or(order[0]);
        repairs.push((from, lost));
        seen[lost as usize] = true;
        order.push(lost);
        queue.push_back(lost);
    }

    let mut number = vec![0u32; nodes];
    for (new, old) in order.iter().enumerate() {
        number[*old as usize] = new as u32;
    }
    repairs.sort_unstable();
    let (mut offsets, mut edges) = (vec![0], Vec::with_capacity(graph.edges.len() + repairs.len()));
    for old in &order {
        edges.extend(neighbours(*old).iter().map(|next| number[*next as usize]));
        let first = repairs.partition_point(|(from, _)| from < old);
        edges.extend(repairs[first..].iter().take_while(|(from, _)| from == old).map(|(_, to)| number[*to as usize]));
        offsets.push(edges.len() as u32);
    }
    Layout { order, offsets, edges, entries }
}

/// hora's nodes on the lowest level that has at most about √n of them.
fn entry_nodes(levels: &[u8]) -> Vec<u32> {
    let most = levels.len().isqrt().max(16);
    let on = |level: u8| levels.iter().filter(|l| **l >= level).count();
    let level = (0..=u8::MAX).find(|level| on(*level) <= most).unwrap_or(u8::MAX);
    let entries: Vec<u32> = (0..levels.len() as u32).filter(|node| levels[*node as usize] >= level).collect();
    if entries.is_empty() { vec![0] } else { entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_reached_and_edges_keep_their_meaning() {
        // 0 ↔ 1, 2 → 1 (nothing leads to 2), 3 ↔ 4 (an island).
        let edges = [(0, 1), (1, 0), (2, 1), (3, 4), (4, 3)];
        let mut levels = vec![0u8; 40];
        levels[0] = 9;
        let mut graph = HoraGraph { levels, offsets: vec![0], edges: Vec::new() };
        for node in 0..40 {
            graph.edges.extend(edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to));
            graph.offsets.push(graph.edges.len() as u32);
        }
        let layout = layout(&graph);
        assert_eq!(layout.entries, 1);
        let (mut reached, mut stack) = (vec![false; 40], vec![0u32]);
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                let range = layout.offsets[node as usize] as usize..layout.offsets[node as usize + 1] as usize;
                stack.extend(&layout.edges[range]);
            }
        }
        assert!(reached.iter().all(|r| *r));
        let mut order = layout.order.clone();
        order.sort_unstable();
        assert_eq!(order, (0..40).collect::<Vec<_>>());
        let new = |old: u32| layout.order.iter().position(|o| *o == old).unwrap();
        let range = layout.offsets[new(2)] as usize..layout.offsets[new(2) + 1] as usize;
        assert_eq!(layout.edges[range], [new(1) as u32]);
    }
}
