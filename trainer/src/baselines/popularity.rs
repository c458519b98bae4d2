//! Everybody gets what most people met.

use super::Interactions;

/// How many people met each item, `[items]`.
pub fn popularity(interactions: &Interactions) -> Vec<f32> {
    let mut counts = vec![0.0; interactions.items()];
    for user in 0..interactions.users() {
        for &item in interactions.of_user(user) {
            counts[item as usize] += 1.0;
        }
    }
    counts
}

/// Events of each item, each worth `0.5^(age / half_life)`, `[items]`.
///
/// `events` are (item, age) with ages in the unit of `half_life`; a negative age counts as 0, an unknown item is left out.
pub fn decayed_popularity(items: usize, events: impl IntoIterator<Item = (u32, f32)>, half_life: f32) -> Vec<f32> {
    let mut counts = vec![0.0; items];
    for (item, age) in events {
        if let Some(count) = counts.get_mut(item as usize) {
            *count += (-age.max(0.0) / half_life).exp2();
        }
    }
    counts
}

/// The `k` items of highest score that `skip` does not hold, best first; ties go to the smaller index.
///
/// `skip` is sorted ascending. Scores that are not finite are left out.
pub fn top_k(scores: &[f32], skip: &[u32], k: usize) -> Vec<u32> {
    let mut items: Vec<u32> = (0..scores.len() as u32)
        .filter(|&i| scores[i as usize].is_finite() && skip.binary_search(&i).is_err())
        .collect();
    let order = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if k < items.len() {
        items.select_nth_unstable_by(k, order);
        items.truncate(k);
    }
    items.sort_unstable_by(order);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_people_not_events() {
        let x = Interactions::new(3, vec![vec![0, 1, 1], vec![1]]).unwrap();
        assert_eq!(popularity(&x), [1.0, 2.0, 0.0]);
    }

    #[test]
    fn halves_with_the_half_life() {
        assert_eq!(decayed_popularity(2, [(0, 0.0), (0, 2.0), (1, 4.0), (9, 0.0)], 2.0), [1.5, 0.25]);
    }

    #[test]
    fn best_first_without_the_skipped() {
        assert_eq!(top_k(&[0.1, 0.9, 0.5, f32::NAN, 0.5], &[1], 2), [2, 4]);
        assert_eq!(top_k(&[0.1, 0.9], &[], 5), [1, 0]);
    }
}
