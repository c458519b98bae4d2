//! Columns to mean 0 and deviation 1.

use crate::Matrix;

/// Per column `(x - mean) * scale`, learned from the training matrix and written into the ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standardiser {
    pub(crate) mean: Vec<f32>,
    pub(crate) scale: Vec<f32>,
}

impl Standardiser {
    /// Learns from `data`. A column that does not vary is only shifted.
    pub(crate) fn fit(data: &Matrix) -> Self {
        let n = data.rows().max(1) as f64;
        let (mut sum, mut squares) = (vec![0f64; data.cols()], vec![0f64; data.cols()]);
        for i in 0..data.rows() {
            for (c, &x) in data.row(i).iter().enumerate() {
                sum[c] += f64::from(x);
                squares[c] += f64::from(x) * f64::from(x);
            }
        }
        let mean: Vec<f32> = sum.iter().map(|s| (s / n) as f32).collect();
        let deviation = |c: usize| ((squares[c] / n - (sum[c] / n).powi(2)).max(0.0)).sqrt();
        let scale = |c: usize| if deviation(c) > 1e-4 * (1.0 + (sum[c] / n).abs()) { 1.0 / deviation(c) } else { 1.0 };
        Self { scale: (0..mean.len()).map(|c| scale(c) as f32).collect(), mean }
    }

    /// Applies it to one row.
    pub(crate) fn apply(&self, row: &[f32], out: &mut [f32]) {
        for (((out, x), mean), scale) in out.iter_mut().zip(row).zip(&self.mean).zip(&self.scale) {
            *out = (x - mean) * scale;
        }
    }

    /// Applies it to every row.
    pub(crate) fn apply_all(&self, data: &Matrix) -> Matrix {
        let mut out = Matrix::zeros(data.rows(), data.cols());
        for i in 0..data.rows() {
            self.apply(data.row(i), out.row_mut(i));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_columns_stay_finite() {
        let data = Matrix::from_vec(2, 2, vec![1.0, 7.0, 3.0, 7.0]).unwrap();
        let s = Standardiser::fit(&data);
        assert_eq!(s.apply_all(&data).data(), [-1.0, 0.0, 1.0, 0.0]);
    }
}
