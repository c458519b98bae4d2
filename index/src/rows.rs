//! Vectors in one allocation, each padded with zeros to whole cache lines.

/// Sixteen components: one cache line, one AVX-512 register, two AVX2 registers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Line(pub [f32; Line::LEN]);

impl Line {
    /// Components per line.
    pub const LEN: usize = 16;

    /// `vector`, padded with zeros. Negative zeros become zeros, so equal vectors have equal bits.
    pub fn pad(vector: &[f32]) -> Vec<Self> {
        vector.chunks(Self::LEN).map(Self::from_chunk).collect()
    }

    fn from_chunk(chunk: &[f32]) -> Self {
        let mut line = Self::default();
        for (to, from) in line.0.iter_mut().zip(chunk) {
            *to = from + 0.0;
        }
        line
    }
}

/// Row-major vectors of `dim` components.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    dim: usize,
    width: usize,
    lines: Vec<Line>,
}

impl Rows {
    pub fn with_capacity(dim: usize, rows: usize) -> Self {
        let width = dim.div_ceil(Line::LEN);
        Self { dim, width, lines: Vec::with_capacity(rows * width) }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.lines.len() / self.width
    }

    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// Every row's lines, one row after the other.
    #[inline]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines of the first `rows` rows.
    pub fn prefix(&self, rows: usize) -> &[Line] {
        &self.lines[..rows * self.width]
    }

    #[inline]
    pub fn row(&self, row: usize) -> &[Line] {
        &self.lines[row * self.width..(row + 1) * self.width]
    }

    /// The components of a row without the padding.
    pub fn components(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        self.row(row).iter().flat_map(|line| line.0).take(self.dim)
    }

    /// Appends a vector of `dim` components.
    pub fn push(&mut self, vector: &[f32]) {
        debug_assert_eq!(vector.len(), self.dim);
        self.lines.extend(vector.chunks(Line::LEN).map(Line::from_chunk));
    }

    /// Appends a row of a `Rows` of the same dimension.
    pub fn push_row(&mut self, row: &[Line]) {
        debug_assert_eq!(row.len(), self.width);
        self.lines.extend_from_slice(row);
    }

    pub fn set(&mut self, row: usize, lines: &[Line]) {
        self.lines[row * self.width..(row + 1) * self.width].copy_from_slice(lines);
    }

    pub fn pop(&mut self) {
        self.lines.truncate(self.lines.len().saturating_sub(self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_without_padding() {
        let mut rows = Rows::with_capacity(19, 2);
        let vector: Vec<f32> = (0..19).map(|i| i as f32).collect();
        rows.push(&vector);
        rows.push(&[-0.0; 19]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.components(0).collect::<Vec<_>>(), vector);
        assert_eq!(rows.row(0)[1].0[3..], [0.0; 13]);
        assert!(rows.components(1).all(|x| x.to_bits() == 0));
        rows.pop();
        assert_eq!(rows.len(), 1);
    }
}
