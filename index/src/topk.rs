//! The best k of a stream of scored items.

use serde::Serialize;

/// An item and its score for a query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The item's id.
    pub item: u32,
    /// `<query, vector> + prior`; finite.
    pub score: f32,
}

/// Order of [`Hit`]s as one integer: a greater key is a better hit (higher score, then lower item id).
#[inline]
pub(crate) fn key(score: f32, id: u32) -> u64 {
    // Order-preserving map of a float's bits: flip all of a negative, the sign of a positive.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!id)
}

#[inline]
pub(crate) fn key_score(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

#[inline]
pub(crate) fn key_id(key: u64) -> u32 {
    !(key as u32)
}

/// Keeps the best `k` of the hits offered to it.
///
/// Up to `2k` are held and cut down together, which costs less than a heap when most offers fail.
pub(crate) struct TopK {
    k: usize,
    keys: Vec<u64>,
    threshold: f32,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        let threshold = if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        Self { k, keys: Vec::with_capacity((2 * k).min(4096)), threshold }
    }

    pub fn k(&self) -> usize {
        self.k
    }

    /// A hit below this cannot be among the best.
    #[inline]
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Offers a hit; the caller has compared it with [`threshold`](Self::threshold) or does not care.
    #[inline]
    pub fn push(&mut self, score: f32, item: u32) {
        if score < self.threshold {
            return;
        }
        self.keys.push(key(score, item));
        if self.keys.len() >= 2 * self.k.max(8) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.k == 0 {
            self.keys.clear();
        } else if self.keys.len() >= self.k {
            let (_, kth, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.threshold = key_score(*kth);
            self.keys.truncate(self.k);
        }
    }

    /// The best `k`, best first.
    pub fn into_hits(mut self) -> Vec<Hit> {
        self.cut();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.iter().map(|&key| Hit { item: key_id(key), score: key_score(key) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_sort_keeps(scores in prop::collection::vec(-3i8..3, 0..200), k in 0usize..40) {
            let mut top = TopK::new(k);
            let mut all: Vec<Hit> = Vec::new();
            for (item, score) in scores.iter().enumerate() {
                let hit = Hit { item: item as u32, score: f32::from(*score) / 2.0 };
                top.push(hit.score, hit.item);
                all.push(hit);
            }
            all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
            all.truncate(k);
            prop_assert_eq!(top.into_hits(), all);
        }

        #[test]
        fn keys_order_and_invert(a in -1e15f32..1e15, b in -1e15f32..1e15, id in any::<u32>()) {
            prop_assert_eq!(key(a, id) < key(b, id), a < b);
            prop_assert_eq!((key_score(key(a, id)), key_id(key(a, id))), (a, id));
        }
    }
}
