//! Features cut into bins.

use crate::Matrix;

/// The bin of missing values.
pub(crate) const MISSING: u8 = 255;

/// A feature matrix in bins, column after column.
///
/// Bin `b` of a feature holds the values `x <= bounds[b]` that no earlier bin holds; a split "bin at most b" is the
/// split `x <= bounds[b]` in `f32`, so training, prediction and ONNX Runtime take the same branch for every value.
#[derive(Debug)]
pub(crate) struct Binned {
    /// Upper bounds of all bins but the last, ascending, per feature.
    pub(crate) bounds: Vec<Vec<f32>>,
    /// Whether a feature has missing values.
    pub(crate) has_missing: Vec<bool>,
    codes: Vec<u8>,
    rows: usize,
}

impl Binned {
    /// Bounds are learned from the rows that `learn` names; all rows get codes.
    pub(crate) fn new(features: &Matrix, learn: &[u32], max_bins: usize) -> Self {
        let (rows, cols) = (features.rows(), features.cols());
        let mut binned =
            Self { bounds: Vec::with_capacity(cols), has_missing: Vec::with_capacity(cols), codes: Vec::new(), rows };
        binned.codes.reserve(rows * cols);
        for c in 0..cols {
            let value = |i: usize| features.row(i)[c];
            let mut values: Vec<f32> = learn.iter().map(|&i| value(i as usize)).filter(|x| !x.is_nan()).collect();
            binned.has_missing.push((0..rows).any(|i| value(i).is_nan()));
            let bounds = bounds(&mut values, max_bins);
            binned.codes.extend((0..rows).map(|i| match value(i) {
                x if x.is_nan() => MISSING,
                x => bounds.partition_point(|&b| b < x) as u8,
            }));
            binned.bounds.push(bounds);
        }
        binned
    }

    /// Codes of feature `c`, `[rows]`.
    pub(crate) fn column(&self, c: usize) -> &[u8] {
        &self.codes[c * self.rows..(c + 1) * self.rows]
    }

    /// Number of features.
    pub(crate) fn features(&self) -> usize {
        self.bounds.len()
    }
}

/// Cuts between distinct values so that bins hold about equally many rows; a frequent value gets a bin of its own.
fn bounds(values: &mut [f32], max_bins: usize) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let groups: Vec<&[f32]> = values.chunk_by(|a, b| a == b).collect();
    let max_bins = max_bins.clamp(2, usize::from(MISSING));
    let mut bounds = Vec::new();
    let (mut in_bin, mut rows_left, mut bins_left) = (0, values.len(), max_bins);
    for pair in groups.windows(2) {
        in_bin += pair[0].len();
        let share = rows_left.div_ceil(bins_left);
        let next_is_large = pair[1].len() >= share && groups.len() > max_bins;
        if groups.len() <= max_bins || in_bin >= share || next_is_large {
            bounds.push(between(pair[0][0], pair[1][0]));
            rows_left -= in_bin;
            in_bin = 0;
            bins_left -= 1;
            if bins_left == 1 {
                break;
            }
        }
    }
    bounds
}

/// A value `x` with `low <= x < high`: their middle where it can be told from `high`.
fn between(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0;
    if middle >= low && middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_get_a_bin_each() {
        let mut v = vec![3.0, 1.0, 1.0, 2.0];
        assert_eq!(bounds(&mut v, 255), [1.5, 2.5]);
        assert!(bounds(&mut [7.0, 7.0], 255).is_empty());
        assert!(bounds(&mut [], 255).is_empty());
    }

    #[test]
    fn many_values_are_cut_evenly() {
        let mut v: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let b = bounds(&mut v, 10);
        assert_eq!(b.len(), 9);
        assert!(b.windows(2).all(|w| (w[1] - w[0] - 100.0).abs() < 2.0), "{b:?}");
        let mut skewed: Vec<f32> = (0..1000).map(|i| if i < 900 { 0.0 } else { i as f32 }).collect();
        let b = bounds(&mut skewed, 10);
        assert!(b.len() >= 8, "{b:?}");
    }

    #[test]
    fn neighbours_in_f32_stay_apart() {
        let low = 1.0f32;
        let high = f32::from_bits(low.to_bits() + 1);
        assert!(between(low, high) >= low && between(low, high) < high);
        assert_eq!(between(f32::MIN, f32::MAX), 0.0);
    }

    #[test]
    fn codes_follow_the_bounds() {
        let m = Matrix::from_vec(4, 1, vec![1.0, f32::NAN, 3.0, 2.0]).unwrap();
        let b = Binned::new(&m, &[0, 1, 2, 3], 255);
        assert_eq!(b.column(0), [0, MISSING, 2, 1]);
        assert!(b.has_missing[0]);
    }
}
