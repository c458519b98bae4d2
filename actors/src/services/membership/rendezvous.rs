//! Which node a partition belongs to: the one with the highest hash of node and partition, so that a node that comes or goes
//! moves no more partitions than it must.

use crate::sessions::state::event_hash;

/// The winner among `nodes` (names); `None` where there are none.
pub(super) fn owner<'a>(nodes: impl Iterator<Item = &'a str>, partition: u16) -> Option<&'a str> {
    nodes.max_by_key(|node| (weight(node, partition), *node))
}

fn weight(node: &str, partition: u16) -> u64 {
    // The finisher of SplitMix64: neighbouring partitions get unrelated weights.
    let mut x = event_hash(node).wrapping_add(u64::from(partition).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_only_what_must_moves() {
        let (two, three) = (["a:1", "b:2"], ["a:1", "b:2", "c:3"]);
        let mut shares = std::collections::HashMap::<&str, usize>::new();
        for partition in 0..1_000 {
            let (before, after) =
                (owner(two.into_iter(), partition).unwrap(), owner(three.into_iter(), partition).unwrap());
            assert!(after == before || after == "c:3");
            *shares.entry(after).or_default() += 1;
        }
        assert!(shares.values().all(|n| (270..400).contains(n)), "{shares:?}");
        assert_eq!(owner(std::iter::empty(), 0), None);
    }
}
