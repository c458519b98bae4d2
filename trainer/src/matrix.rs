//! A row-major matrix of `f32`.

use crate::TrainError;
use crate::error::check_len;

/// A dense row-major matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// `rows` x `cols` zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: vec![0.0; rows * cols] }
    }

    /// Takes `data` as `rows` x `cols`, row after row.
    pub fn from_vec(rows: usize, cols: usize, data: Vec<f32>) -> Result<Self, TrainError> {
        check_len("matrix data", rows * cols, data.len())?;
        Ok(Self { rows, cols, data })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`; panics where there is none.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`, to be written; panics where there is none.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Appends one row of [`Matrix::cols`] values.
    pub fn push_row(&mut self, row: &[f32]) -> Result<(), TrainError> {
        check_len("matrix row", self.cols, row.len())?;
        self.data.extend_from_slice(row);
        self.rows += 1;
        Ok(())
    }

    /// All values, row after row.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All values, row after row, to be written.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}
