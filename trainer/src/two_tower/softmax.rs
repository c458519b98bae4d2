//! The multinomial loss of a set of hidden items, and its gradient.

/// What a softmax normalises over: the first `len` vectors at hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates {
    /// Number of candidates.
    pub(crate) len: usize,
    /// Added to each candidate's logit, `-ln(probability of being drawn)`; empty in a full softmax.
    pub(crate) corrections: Vec<f32>,
}

/// Turns one row of logits into the gradient of its loss and returns the loss.
///
/// The loss is `sum over targets of (ln sum_j exp(l_j + c_j) - l_target)`, times `weight`. A drawn candidate stands for the
/// `exp(c_j)` like it; the person's own targets were not drawn but put there, and count once.
pub(crate) fn loss_and_grad(logits: &mut [f32], targets: &[u32], candidates: &Candidates, weight: f32) -> f64 {
    let own: f64 = targets.iter().map(|&t| f64::from(logits[t as usize])).sum();
    if !candidates.corrections.is_empty() {
        logits.iter_mut().zip(&candidates.corrections).for_each(|(l, c)| *l += c);
        targets.iter().for_each(|&t| logits[t as usize] -= candidates.corrections[t as usize]);
    }
    let max = max(logits);
    let sum = exp_and_sum(logits, max);
    let n = targets.len() as f32;
    let scale = weight * n / sum;
    logits.iter_mut().for_each(|l| *l *= scale);
    targets.iter().for_each(|&t| logits[t as usize] -= weight);
    f64::from(weight) * (f64::from(n) * (f64::from(max) + f64::from(sum).ln()) - own)
}

fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    for chunk in chunks {
        for k in 0..16 {
            lanes[k] = if chunk[k] > lanes[k] { chunk[k] } else { lanes[k] };
        }
    }
    lanes.iter().fold(rest, |a, &b| if b > a { b } else { a })
}

/// Replaces every `x` by `exp(x - max)` and returns the sum.
fn exp_and_sum(x: &mut [f32], max: f32) -> f32 {
    let mut sums = [0f32; 16];
    let mut chunks = x.chunks_exact_mut(16);
    for chunk in &mut chunks {
        for k in 0..16 {
            chunk[k] = exp(chunk[k] - max);
            sums[k] += chunk[k];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for x in chunks.into_remainder() {
        *x = exp(*x - max);
        sum += *x;
    }
    sum
}

/// `e^x` for `x <= 0` without a branch, relative error below 1e-5: the library's does not vectorise, and a step needs two
/// million of them. `2^n` goes into the exponent bits, `2^f` is a polynomial on `|f| <= 1/2` (its Taylor series).
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves a whole number in the low bits
    let t = x.max(-87.0) * std::f32::consts::LOG2_E;
    let shifted = t + ROUND;
    let f = (t - (shifted - ROUND)) * std::f32::consts::LN_2;
    let series = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f / 720.0)))));
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        for i in 0..8_000 {
            let x = -(i as f32) * 0.01;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 1e-5, "{x}: {got} {want}");
        }
        assert!(exp(-1e9) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn two_targets_of_three_by_hand() {
        let mut row = [0.0, 1.0, 2.0];
        let z = (1f64 + 1f64.exp() + 2f64.exp()).ln();
        let loss = loss_and_grad(&mut row, &[0, 2], &Candidates { len: 3, corrections: vec![] }, 0.5);
        assert!((loss - 0.5 * (2.0 * z - 2.0)).abs() < 1e-5);
        assert!((f64::from(row[1]) - 1f64.exp() / z.exp()).abs() < 1e-5);
        assert!(row.iter().sum::<f32>().abs() < 1e-6);
    }

    #[test]
    fn a_drawn_candidate_stands_for_those_like_it() {
        // Candidate 1 was drawn with probability 1/4 and counts four times; the target counts once whatever its chance.
        let mut row = [0.0, 0.0];
        let candidates = Candidates { len: 2, corrections: vec![3.0, 4f32.ln()] };
        let loss = loss_and_grad(&mut row, &[0], &candidates, 1.0);
        assert!((loss - 5f64.ln()).abs() < 1e-5);
        assert!((row[1] - 0.8).abs() < 1e-5);
    }
}
