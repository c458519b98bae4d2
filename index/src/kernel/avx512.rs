//! AVX-512: a line is one register, and a masked load takes the end of a vector of any length.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Kernel, Line, avx2, row};

/// The kernel, where the processor has AVX-512 F (and AVX2 with FMA, whose reduction it shares).
pub(super) fn kernel() -> Option<Kernel> {
    let present =
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    present.then_some(Kernel { name: "avx512", scan, gather, squared_distance })
}

// SAFETY (all three): they are reachable only through `kernel`, which has found AVX-512 F, AVX2 and FMA.

fn scan(query: &[Line], rows: &[Line], out: &mut [f32]) {
    unsafe { scan_avx512(query, rows, out) }
}

fn gather(query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
    unsafe { gather_avx512(query, rows, ids, out) }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    unsafe { squared_distance_avx512(a, b) }
}

#[target_feature(enable = "avx512f,avx2,fma")]
fn scan_avx512(query: &[Line], rows: &[Line], out: &mut [f32]) {
    let width = query.len();
    let mut four = out.chunks_exact_mut(4);
    let mut i = 0;
    for out in &mut four {
        let r = &rows[i * width..(i + 4) * width];
        out.copy_from_slice(&dot4(query, [row(r, width, 0), row(r, width, 1), row(r, width, 2), row(r, width, 3)]));
        i += 4;
    }
    for out in four.into_remainder() {
        *out = dot4(query, [row(rows, width, i); 4])[0];
        i += 1;
    }
}

#[target_feature(enable = "avx512f,avx2,fma")]
fn gather_avx512(query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
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
#[target_feature(enable = "avx512f,avx2,fma")]
fn dot4(query: &[Line], rows: [&[Line]; 4]) -> [f32; 4] {
    let mut sums = [_mm512_setzero_ps(); 4];
    let [a, b, c, d] = rows;
    for ((((query, a), b), c), d) in query.iter().zip(a).zip(b).zip(c).zip(d) {
        let query = load(query);
        for (sum, line) in sums.iter_mut().zip([a, b, c, d]) {
            *sum = _mm512_fmadd_ps(query, load(line), *sum);
        }
    }
    avx2::sum4(sums.map(|sum| fold(sum)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512 {
    // SAFETY: a line is 16 floats, aligned to 64 bytes.
    unsafe { _mm512_load_ps(line.0.as_ptr()) }
}

/// The upper eight lanes added to the lower eight.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(v: __m512) -> __m256 {
    let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
    _mm256_add_ps(_mm512_castps512_ps256(v), upper)
}

#[target_feature(enable = "avx512f,avx2,fma")]
fn squared_distance_avx512(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let mut sums = [_mm512_setzero_ps(); 2];
    let mut at = 0;
    while at < len {
        let lanes = (len - at).min(16);
        let mask = ((1u32 << lanes) - 1) as __mmask16;
        // SAFETY: the mask admits `lanes` floats from `at`, which both slices have.
        let difference = unsafe {
            _mm512_sub_ps(
                _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)),
                _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)),
            )
        };
        let sum = &mut sums[at / 16 % 2];
        *sum = _mm512_fmadd_ps(difference, difference, *sum);
        at += 16;
    }
    _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
}
