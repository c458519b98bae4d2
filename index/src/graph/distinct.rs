//! Identical vectors become one node: of 200 copies in its graph, hora can find about 65.

use std::collections::HashMap;

use crate::rows::{Line, Rows};

/// Distinct vectors and the items that share each.
pub(super) struct Distinct {
    pub rows: Rows,
    /// By distinct vector: the items, in the order they came.
    pub members: Vec<Vec<u32>>,
}

impl Distinct {
    pub fn new<'a>(dim: usize, items: impl Iterator<Item = (u32, &'a [Line])>) -> Self {
        let capacity = items.size_hint().0;
        let mut rows = Rows::with_capacity(dim, capacity);
        let mut members: Vec<Vec<u32>> = Vec::with_capacity(capacity);
        let mut by_hash: HashMap<u32, Vec<u32>> = HashMap::with_capacity(capacity);
        for (item, row) in items {
            // A line holds no negative zero and nothing that is not finite, so equal means equal bits.
            let same_hash = by_hash.entry(hash(row)).or_default();
            match same_hash.iter().find(|node| rows.row(**node as usize) == row) {
                Some(node) => members[*node as usize].push(item),
                None => {
                    same_hash.push(members.len() as u32);
                    rows.push_row(row);
                    members.push(vec![item]);
                }
            }
        }
        Self { rows, members }
    }
}

fn hash(row: &[Line]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for x in row.iter().flat_map(|line| line.0) {
        hasher.update(&x.to_le_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_a_row() {
        let rows: Vec<Vec<Line>> = [1.0f32, 2.0, 1.0, 1.0].iter().map(|x| Line::pad(&[*x, 0.5])).collect();
        let distinct = Distinct::new(2, rows.iter().enumerate().map(|(i, row)| (i as u32 + 10, &row[..])));
        assert_eq!(distinct.members, [vec![10, 12, 13], vec![11]]);
        assert_eq!(distinct.rows.len(), 2);
    }
}
