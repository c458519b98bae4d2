//! The two loops over rows that take the time. Plain Rust; the compiler makes vector instructions of them, wider ones where
//! the machine has them.

use super::{Forest, MAX_LEAVES, Split};

/// Rows that go through a tree together.
pub(super) const BLOCK: usize = 64;

/// Sums of every target for up to [`BLOCK`] rows of features.
pub(super) fn score(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx512() {
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
    score_any(forest, features, columns, sums, add_leaves);
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512cd")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,bmi1,bmi2,lzcnt")]
fn score_avx512(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    score_any(forest, features, columns, sums, |leaves, open, sums| add_leaves_avx512(leaves, open, sums));
}

/// [`add_leaves`] sixteen rows at a time: the 32 leaves are two registers, in which one instruction looks all up.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512cd")]
fn add_leaves_avx512(leaves: &[f32; MAX_LEAVES], open: &[u32; BLOCK], sums: &mut [f32; BLOCK]) {
    use std::arch::x86_64::*;
    let (low, high) = leaves.split_at(16);
    // SAFETY: each load and store is of sixteen values of a slice of that length.
    #[expect(unsafe_code, reason = "the compiler does not find the instruction that looks up 32 values")]
    unsafe {
        let (low, high) = (_mm512_loadu_ps(low.as_ptr()), _mm512_loadu_ps(high.as_ptr()));
        for (open, sums) in open.as_chunks::<16>().0.iter().zip(sums.as_chunks_mut::<16>().0) {
            let open = _mm512_loadu_si512(open.as_ptr().cast());
            let lowest = _mm512_and_si512(open, _mm512_sub_epi32(_mm512_setzero_si512(), open));
            let leaf = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(lowest));
            let value = _mm512_permutex2var_ps(low, leaf, high);
            _mm512_storeu_ps(sums.as_mut_ptr(), _mm512_add_ps(_mm512_loadu_ps(sums.as_ptr()), value));
        }
    }
}

/// Adds to each row's sum the leaf that remains: the lowest open one.
#[inline(always)]
fn add_leaves(leaves: &[f32; MAX_LEAVES], open: &[u32; BLOCK], sums: &mut [f32; BLOCK]) {
    for (sum, open) in sums.iter_mut().zip(open) {
        *sum += leaves[open.trailing_zeros() as usize % MAX_LEAVES];
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn score_avx2(forest: &Forest, features: &[f32], columns: &mut [[u8; BLOCK]], sums: &mut [[f32; BLOCK]]) {
    score_any(forest, features, columns, sums, add_leaves);
}

#[inline(always)]
fn score_any(
    forest: &Forest,
    features: &[f32],
    columns: &mut [[u8; BLOCK]],
    sums: &mut [[f32; BLOCK]],
    add_leaves: impl Fn(&[f32; MAX_LEAVES], &[u32; BLOCK], &mut [f32; BLOCK]),
) {
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
        add_leaves(leaves, &open, &mut sums[tree.target as usize]);
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
