//! Inner products and distances, with SIMD chosen at run time.
//!
//! A batch is one indirect call, so the choice costs nothing per vector.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use crate::rows::Line;

/// Inner products of a query with rows picked by id: query, rows, ids, out.
type Gather = fn(&[Line], &[Line], &[u32], &mut [f32]);

/// One implementation of the arithmetic. Rows are `query.len()` lines each.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// `"avx512"`, `"avx2"` or `"scalar"`.
    pub name: &'static str,
    scan: fn(&[Line], &[Line], &mut [f32]),
    gather: Gather,
    squared_distance: fn(&[f32], &[f32]) -> f32,
}

impl Kernel {
    /// The fastest kernel that this processor runs.
    pub fn best() -> &'static Self {
        static BEST: LazyLock<Kernel> = LazyLock::new(|| Kernel::available()[0]);
        &BEST
    }

    /// Every kernel that this processor runs, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx512::kernel());
            all.extend(avx2::kernel());
        }
        all.push(scalar::KERNEL);
        all
    }

    /// Inner products of `query` with consecutive rows: `out[i] = <query, rows[i]>`.
    ///
    /// # Panics
    /// If `rows` is shorter than `out.len() * query.len()` lines.
    pub fn scan(&self, query: &[Line], rows: &[Line], out: &mut [f32]) {
        (self.scan)(query, rows, out);
    }

    /// Inner products of `query` with chosen rows: `out[i] = <query, rows[ids[i]]>`.
    ///
    /// # Panics
    /// If an id is beyond `rows` or `out` is shorter than `ids`.
    pub fn gather(&self, query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
        (self.gather)(query, rows, ids, out);
    }

    /// The squared Euclidean distance of two vectors of one length.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn squared_distance(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        (self.squared_distance)(a, b)
    }
}

/// Row `i` of rows of `width` lines.
#[inline(always)]
fn row(rows: &[Line], width: usize, i: usize) -> &[Line] {
    &rows[i * width..(i + 1) * width]
}

/// Asks the processor to fetch what is read soon, so that it need not be waited for then.
#[inline(always)]
pub fn prefetch<T>(soon: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(soon)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, whatever the address, and SSE is part of x86_64.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(soon.as_ptr().cast::<i8>().wrapping_add(at));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = soon;
}
