//! Inner products of item and user vectors. Plain code with sixteen sums, so that every machine adds in the same order.

/// `Σ aᵢ bᵢ` over the shorter length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, rest_of_a) = a[..n].as_chunks::<16>();
    let (b, rest_of_b) = b[..n].as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    // By halves: each sum of the next half has to wait for two only.
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0] + rest_of_a.iter().zip(rest_of_b).map(|(x, y)| x * y).sum::<f32>()
}

/// An item's vector compared by angle, without its bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Direction<'a> {
    vector: &'a [f32],
    /// Makes its length 1; 0 for a vector of zeros, which has no direction.
    scale: f32,
}

impl<'a> Direction<'a> {
    /// Of an item vector `[4 v, bias]`.
    pub fn of(vector: &'a [f32]) -> Self {
        let vector = &vector[..vector.len().saturating_sub(1)];
        let norm = dot(vector, vector).sqrt();
        Self { vector, scale: if norm > 0.0 { 1.0 / norm } else { 0.0 } }
    }

    /// The cosine of the angle to another.
    pub fn cosine(&self, other: &Self) -> f32 {
        dot(self.vector, other.vector) * self.scale * other.scale
    }
}

/// A weighted mean of directions: the mean of their cosines to another direction is then one inner product.
#[derive(Debug, Default)]
pub(super) struct Mean {
    sum: Vec<f32>,
    weight: f32,
}

impl Mean {
    /// Counts one more.
    pub fn add(&mut self, direction: &Direction<'_>, weight: f32) {
        self.sum.resize(self.sum.len().max(direction.vector.len()), 0.0);
        self.weight += weight;
        let weight = weight * direction.scale;
        self.sum.iter_mut().zip(direction.vector).for_each(|(sum, x)| *sum += weight * x);
    }

    /// The mean cosine to a direction; NaN where nothing was counted.
    pub fn cosine(&self, to: &Direction<'_>) -> f32 {
        dot(&self.sum, to.vector) * to.scale / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_product_takes_every_component_once() {
        for len in [0, 1, 15, 16, 17, 33, 64, 65] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..len + 3).map(|i| 2.0 - i as f32).collect();
            let expected: f32 = (0..len).map(|i| i as f32 * (2.0 - i as f32)).sum();
            assert_eq!(dot(&a, &b), expected, "{len}");
        }
    }

    #[test]
    fn cosines_know_no_length_and_no_bias() {
        let (east, north, nowhere) = ([8.0, 0.0, 5.0], [0.0, 0.5, -5.0], [0.0, 0.0, 1.0]);
        let [east, north, nowhere] = [&east, &north, &nowhere].map(|vector| Direction::of(vector));
        assert_eq!((east.cosine(&east), east.cosine(&north), east.cosine(&nowhere)), (1.0, 0.0, 0.0));
        let mut mean = Mean::default();
        assert!(mean.cosine(&east).is_nan());
        mean.add(&east, 3.0);
        mean.add(&north, 1.0);
        assert_eq!((mean.cosine(&east), mean.cosine(&north)), (0.75, 0.25));
    }
}
