//! How much of what a person wanted is in the list, and how early.

use std::collections::HashSet;

/// Share of `relevant` that is among the first `k` of `ranked`. `None` if nothing is relevant.
pub fn recall_at(k: usize, ranked: &[u32], relevant: &[u32]) -> Option<f64> {
    let relevant: HashSet<u32> = relevant.iter().copied().collect();
    if relevant.is_empty() {
        return None;
    }
    let found = ranked.iter().take(k).collect::<HashSet<_>>().into_iter().filter(|i| relevant.contains(i)).count();
    Some(found as f64 / relevant.len() as f64)
}

/// Normalised discounted cumulative gain with binary gains and the `1 / log2(rank + 1)` discount (Järvelin and
/// Kekäläinen, 2002). An item that comes twice counts at its first place. `None` if nothing is relevant.
pub fn ndcg_at(k: usize, ranked: &[u32], relevant: &[u32]) -> Option<f64> {
    let mut missing: HashSet<u32> = relevant.iter().copied().collect();
    if missing.is_empty() || k == 0 {
        return None;
    }
    let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let ideal: f64 = (0..missing.len().min(k)).map(discount).sum();
    let gain: f64 =
        ranked.iter().take(k).enumerate().filter(|(_, i)| missing.remove(i)).map(|(rank, _)| discount(rank)).sum();
    Some(gain / ideal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_by_hand() {
        assert_eq!(recall_at(2, &[5, 3, 9], &[3, 9, 11]), Some(1.0 / 3.0));
        assert_eq!(recall_at(9, &[5, 3, 9], &[3, 9]), Some(1.0));
        assert_eq!(recall_at(2, &[3, 3], &[3, 4]), Some(0.5));
        assert_eq!(recall_at(2, &[3], &[]), None);
    }

    #[test]
    fn ndcg_by_hand() {
        // Relevant at ranks 1 and 3: 1 + 1/2 against an ideal of 1 + 1/log2(3).
        let ndcg = ndcg_at(3, &[1, 2, 3], &[1, 3]).unwrap();
        assert!((ndcg - 1.5 / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12);
        assert_eq!(ndcg_at(2, &[1, 2], &[1, 2]), Some(1.0));
        assert_eq!(ndcg_at(3, &[1, 1], &[1]), Some(1.0));
        assert_eq!(ndcg_at(3, &[7], &[1]), Some(0.0));
        assert_eq!(ndcg_at(0, &[7], &[1]), None);
    }
}
