//! AVX2 with fused multiply-add: four rows at a time, so that eight chains of additions run side by side.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Kernel, Line, row};

/// The kernel, where the processor has AVX2 and FMA.
pub(super) fn kernel() -> Option<Kernel> {
    let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    present.then_some(Kernel { name: "avx2", scan, gather, squared_distance })
}

// SAFETY (all three): they are reachable only through `kernel`, which has found AVX2 and FMA.

fn scan(query: &[Line], rows: &[Line], out: &mut [f32]) {
    unsafe { scan_avx2(query, rows, out) }
}

fn gather(query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
    unsafe { gather_avx2(query, rows, ids, out) }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    unsafe { squared_distance_avx2(a, b) }
}

#[target_feature(enable = "avx2,fma")]
fn scan_avx2(query: &[Line], rows: &[Line], out: &mut [f32]) {
    let width = query.len();
    let mut four = out.chunks_exact_mut(4);
    let mut i = 0;
    for out in &mut four {
        let r = &rows[i * width..(i + 4) * width];
        out.copy_from_slice(&dot4(query, [row(r, width, 0), row(r, width, 1), row(r, width, 2), row(r, width, 3)]));
        i += 4;
    }
    for out in four.into_remainder() {
        let r = row(rows, width, i);
        *out = dot4(query, [r; 4])[0];
        i += 1;
    }
}

#[target_feature(enable = "avx2,fma")]
fn gather_avx2(query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
    let width = query.len();
    let out = &mut out[..ids.len()];
    let (mut ids4, mut out4) = (ids.chunks_exact(4), out.chunks_exact_mut(4));
    for (ids, out) in (&mut ids4).zip(&mut out4) {
        let r = [ids[0], ids[1], ids[2], ids[3]].map(|id| row(rows, width, id as usize));
        out.copy_from_slice(&dot4(query, r));
    }
    for (id, out) in ids4.remainder().iter().zip(out4.into_remainder()) {
        *out = dot4(query, [row(rows, width, *id as usize); 4])[0];
    }
}

/// Inner products of `query` with four rows of its length.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot4(query: &[Line], rows: [&[Line]; 4]) -> [f32; 4] {
    let mut low = [_mm256_setzero_ps(); 4];
    let mut high = [_mm256_setzero_ps(); 4];
    let [a, b, c, d] = rows;
    for ((((query, a), b), c), d) in query.iter().zip(a).zip(b).zip(c).zip(d) {
        let (query_low, query_high) = halves(query);
        for (i, line) in [a, b, c, d].into_iter().enumerate() {
            let (line_low, line_high) = halves(line);
            low[i] = _mm256_fmadd_ps(query_low, line_low, low[i]);
            high[i] = _mm256_fmadd_ps(query_high, line_high, high[i]);
        }
    }
    sum4([0, 1, 2, 3].map(|i| _mm256_add_ps(low[i], high[i])))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(line: &Line) -> (__m256, __m256) {
    let at = line.0.as_ptr();
    // SAFETY: a line is 16 floats, aligned to 64 bytes.
    unsafe { (_mm256_load_ps(at), _mm256_load_ps(at.add(8))) }
}

/// The sums of the lanes of four registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum4(v: [__m256; 4]) -> [f32; 4] {
    let pairs = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    let sums = _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs));
    let mut out = [0.0; 4];
    // SAFETY: `out` is four floats; the store is unaligned.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), sums) };
    out
}

#[target_feature(enable = "avx2,fma")]
fn squared_distance_avx2(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 4];
    let (mut a32, mut b32) = (a.chunks_exact(32), b.chunks_exact(32));
    for (a, b) in (&mut a32).zip(&mut b32) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = add_squares(&a[8 * i..8 * i + 8], &b[8 * i..8 * i + 8], *sum);
        }
    }
    let (mut a8, mut b8) = (a32.remainder().chunks_exact(8), b32.remainder().chunks_exact(8));
    for (a, b) in (&mut a8).zip(&mut b8) {
        sums[0] = add_squares(a, b, sums[0]);
    }
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    sum4(sums).iter().sum::<f32>() + tail
}

/// `sums + (a - b)²` of eight floats.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_squares(a: &[f32], b: &[f32], sums: __m256) -> __m256 {
    assert!(a.len() == 8 && b.len() == 8);
    // SAFETY: both slices hold eight floats; the loads are unaligned.
    let difference = unsafe { _mm256_sub_ps(_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr())) };
    _mm256_fmadd_ps(difference, difference, sums)
}
