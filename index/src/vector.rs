//! The edge: what may enter the index.

use crate::error::IndexError;

/// The largest magnitude of a component or a prior. With it no inner product, norm or distance of finite input
/// can overflow `f32` (dimensions up to 10⁷).
pub const MAX_ABS: f32 = 1e15;

/// Item ids are below this; flat arrays are indexed by them.
pub const MAX_ITEMS: u32 = 1 << 27;

/// Checks a vector or a query against the index's dimension and [`MAX_ABS`].
pub(crate) fn check_vector(vector: &[f32], dim: usize) -> Result<(), IndexError> {
    if vector.len() != dim {
        return Err(IndexError::Dimension { expected: dim, got: vector.len() });
    }
    match vector.iter().position(|x| !in_range(*x)) {
        None => Ok(()),
        Some(at) => Err(IndexError::OutOfRange { what: format!("component {at} of the vector"), value: vector[at] }),
    }
}

/// Checks the prior of `item`.
pub(crate) fn check_prior(item: usize, prior: f32) -> Result<(), IndexError> {
    if in_range(prior) {
        return Ok(());
    }
    Err(IndexError::OutOfRange { what: format!("the prior of item {item}"), value: prior })
}

/// Checks that an item id may index flat arrays.
pub(crate) fn check_item(item: u32) -> Result<(), IndexError> {
    if item < MAX_ITEMS { Ok(()) } else { Err(IndexError::Item { item, limit: MAX_ITEMS }) }
}

/// False for NaN too.
fn in_range(x: f32) -> bool {
    x.abs() <= MAX_ABS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_vectors_of_the_right_size_pass() {
        assert!(check_vector(&[1.0, -MAX_ABS], 2).is_ok());
        assert!(matches!(check_vector(&[1.0], 2), Err(IndexError::Dimension { expected: 2, got: 1 })));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0 * MAX_ABS] {
            assert!(matches!(check_vector(&[0.0, bad], 2), Err(IndexError::OutOfRange { .. })));
            assert!(check_prior(3, bad).is_err());
        }
    }
}
