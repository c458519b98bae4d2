//! The two loops over rows that take the time. Plain Rust; the compiler makes vector instructions of them, wider ones where
//! the machine has them.

use super::{Forest, MAX_LEAVES, Split};

/// Rows that go through a tree together.
pub(super) const BLOCK: usize = 64;

/// Sums of every target for up to [`BLOCK`] rows of features.
pub(super) fn score(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the machine has the instructions that the function was compiled for.
            #[expect(unsafe_code, reason = "a function for certain machines can only be called so")]
            return unsafe { score_avx512(forest, features, columns, sums) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "a function for certain machines can only be called so")]
            return unsafe { score_avx2(forest, features, columns, sums) };
        }
    }
    score_any(forest, features, columns, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,bmi1,bmi2,lzcnt")]
fn score_avx512(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    score_any(forest, features, columns, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn score_avx2(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    score_any(forest, features, columns, sums);
}

#[inline(always)]
fn score_any(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    bin(forest, features, columns);
    for (sum, base) in sums.iter_mut().zip(&forest.bases) {
        *sum = [*base; BLOCK];
    }
    for (tree, leaves) in forest.trees.iter().zip(&forest.leaves) {
        let mut open = [u32::MAX; BLOCK];
        for &Split { column, bin: threshold, left } in &forest.splits[tree.from as usize..tree.to as usize] {
            for (open, bin) in open.iter_mut().zip(&columns[usize::from(column)]) {
                let right = 0u32.wrapping_sub(u32::from(*bin > threshold));
                *open &= !(right & left);
            }
        }
        for (sum, open) in sums[tree.target as usize].iter_mut().zip(&open) {
            *sum += leaves[open.trailing_zeros() as usize % MAX_LEAVES];
        }
    }
}

/// Replaces values by the number of thresholds below them: a branch-free binary search, all rows a step at a time.
#[inline(always)]
fn bin(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]]) {
    for (feature, columns) in forest.bins.iter().zip(columns.chunks_exact_mut(2)) {
        let mut values = [0f32; BLOCK];
        for (value, row) in values.iter_mut().zip(features.chunks_exact(forest.features)) {
            *value = row[feature.column];
        }
        let mut found = [0u32; BLOCK];
        let mut step = feature.half;
        while step > 0 {
            for (found, value) in found.iter_mut().zip(&values) {
                // The modulus changes nothing: it tells the compiler that the index is inside.
                let below = feature.thresholds[(*found + step - 1) as usize % 256] < *value;
                *found += step * u32::from(below);
            }
            step /= 2;
        }
        let [right, left] = columns else { continue };
        for ((right, left), (found, value)) in right.iter_mut().zip(left.iter_mut()).zip(found.iter().zip(&values)) {
            let unknown = u8::from(value.is_nan());
            // All bits of a byte, or none.
            let unknown = 0u8.wrapping_sub(unknown);
            *right = *found as u8 | unknown;
            *left = *found as u8 & !unknown;
        }
    }
}
