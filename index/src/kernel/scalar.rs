//! Plain Rust, for every processor. Sixteen running sums let the compiler use what SIMD the target always has.

use super::{Kernel, Line, row};

pub(super) const KERNEL: Kernel = Kernel { name: "scalar", scan, gather, squared_distance };

pub(super) fn dot(a: &[Line], b: &[Line]) -> f32 {
    let mut sums = [0.0f32; Line::LEN];
    for (a, b) in a.iter().zip(b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.0.iter().zip(&b.0)) {
            *sum += x * y;
        }
    }
    sums.iter().sum()
}

fn scan(query: &[Line], rows: &[Line], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = dot(query, row(rows, query.len(), i));
    }
}

fn gather(query: &[Line], rows: &[Line], ids: &[u32], out: &mut [f32]) {
    for (out, id) in out[..ids.len()].iter_mut().zip(ids) {
        *out = dot(query, row(rows, query.len(), *id as usize));
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (mut a8, mut b8) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in (&mut a8).zip(&mut b8) {
        for i in 0..8 {
            sums[i] += (a[i] - b[i]) * (a[i] - b[i]);
        }
    }
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + tail
}
