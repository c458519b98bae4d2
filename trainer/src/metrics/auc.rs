//! Area under the ROC curve, over all rows and per person.

use std::collections::HashMap;

/// The probability that a positive row scores above a negative one; a tie counts half. `None` if a class is missing.
///
/// `labels` above .5 are positive. NaN scores sort as the lowest.
pub fn auc(scores: &[f32], labels: &[f32]) -> Option<f64> {
    assert_eq!(scores.len(), labels.len(), "one label per score");
    let mut rows: Vec<(f32, bool)> = scores.iter().zip(labels).map(|(&s, &l)| (orderable(s), l > 0.5)).collect();
    auc_of(&mut rows)
}

/// AUC within each person, averaged with the person's number of rows as weight (Zhu et al., *Optimized Cost per Click*,
/// 2017). People with one class only say nothing about order and are left out. `None` if nobody is left.
pub fn gauc(users: &[u64], scores: &[f32], labels: &[f32]) -> Option<f64> {
    assert_eq!(users.len(), scores.len(), "one person per score");
    assert_eq!(scores.len(), labels.len(), "one label per score");
    let mut groups: HashMap<u64, Vec<(f32, bool)>> = HashMap::new();
    for ((&user, &score), &label) in users.iter().zip(scores).zip(labels) {
        groups.entry(user).or_default().push((orderable(score), label > 0.5));
    }
    let mut people: Vec<_> = groups.into_iter().collect();
    people.sort_by_key(|(user, _)| *user); // a fixed order of summation, so that the result is the same every time
    let (mut sum, mut weight) = (0.0, 0.0);
    for (_, mut rows) in people {
        let n = rows.len() as f64;
        if let Some(area) = auc_of(&mut rows) {
            sum += area * n;
            weight += n;
        }
    }
    (weight > 0.0).then(|| sum / weight)
}

fn orderable(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

/// The rank-sum form (Mann and Whitney), with mean ranks for ties.
fn auc_of(rows: &mut [(f32, bool)]) -> Option<f64> {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = rows.iter().filter(|r| r.1).count() as f64;
    let negatives = rows.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut rank_sum, mut before) = (0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let n = tied.len() as f64;
        let mean_rank = before + (n + 1.0) / 2.0;
        rank_sum += mean_rank * tied.iter().filter(|r| r.1).count() as f64;
        before += n;
    }
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Pairs (positive, negative): (.8, .4) right, (.8, .9) wrong, (.4, .4) tied, (.4, .9) wrong: 1.5 of 4.
        assert_eq!(auc(&[0.8, 0.4, 0.4, 0.9], &[1.0, 1.0, 0.0, 0.0]), Some(1.5 / 4.0));
        assert_eq!(auc(&[0.1, 0.2], &[0.0, 1.0]), Some(1.0));
        assert_eq!(auc(&[0.5; 6], &[1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), Some(0.5));
        assert_eq!(auc(&[0.1, 0.2], &[1.0, 1.0]), None);
    }

    #[test]
    fn per_person_weighted_by_rows() {
        let users = [7, 7, 8, 8, 8, 9];
        let scores = [0.9, 0.1, 0.3, 0.5, 0.4, 1.0];
        let labels = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        // Person 7: 1 over 2 rows. Person 8: 0 over 3 rows. Person 9 has one class only.
        assert_eq!(gauc(&users, &scores, &labels), Some(2.0 / 5.0));
        assert_eq!(gauc(&[1, 2], &[0.1, 0.2], &[1.0, 0.0]), None);
    }

    #[test]
    fn a_score_that_is_not_a_number_sorts_last() {
        assert_eq!(auc(&[f32::NAN, 0.2], &[0.0, 1.0]), Some(1.0));
    }
}
