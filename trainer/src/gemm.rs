//! Matrix products: the one place that calls the SIMD kernels.

/// A borrowed matrix or its transpose: `row` and `col` are the distances between neighbours.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// `data` as row-major `rows` x `cols`.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a view covers its data exactly");
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// `out = beta * out + alpha * a b`, `out` row-major of shape rows(a) x cols(b).
pub(crate) fn gemm(alpha: f32, a: View<'_>, b: View<'_>, beta: f32, out: &mut [f32]) {
    assert_eq!(a.cols, b.rows, "inner dimensions agree");
    assert_eq!(out.len(), a.rows * b.cols, "the output has the product's shape");
    // SAFETY: `View::new` ties strides and shape to the slice's length and `t` only swaps them, so every index that
    // the kernel forms from them lies inside the slices; `out` is checked above and cannot alias the inputs.
    #[allow(unsafe_code)]
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.cols,
            b.cols,
            alpha,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.col_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.col_stride as isize,
            beta,
            out.as_mut_ptr(),
            b.cols as isize,
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_matrices_and_their_transposes() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0];
        let mut out = [0.0; 4];
        gemm(1.0, View::new(&a, 2, 3), View::new(&b, 3, 2), 0.0, &mut out);
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        gemm(2.0, View::new(&a, 2, 3), View::new(&a, 2, 3).t(), 1.0, &mut out);
        assert_eq!(out, [33.0, 75.0, 78.0, 177.0]);
    }
}
