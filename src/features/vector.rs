//! Inner products of item and user vectors. Plain code with sixteen sums, so that every machine adds in the same order.

/// `Σ aᵢ bᵢ` over the shorter length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0.0f32; 16];
    let (chunks_a, chunks_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for i in 0..16 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// A vector compared by angle: an item's direction without its bias.
#[derive(Debug, Clone, Default)]
pub(super) struct Direction(Vec<f32>);

/// The direction of an item vector `[4 v, bias]`, of length 1 (all zero stays zero).
pub(super) fn unit(vector: &[f32]) -> Direction {
    let v = &vector[..vector.len().saturating_sub(1)];
    let norm = dot(v, v).sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    Direction(v.iter().map(|x| x * scale).collect())
}

impl Direction {
    /// Inner product; the cosine of two directions of length 1.
    pub fn dot(&self, other: &Self) -> f32 {
        dot(&self.0, &other.0)
    }

    /// Adds `weight × other`.
    pub fn add(&mut self, other: &Self, weight: f32) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0.0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(sum, x)| *sum += weight * x);
    }

    /// Multiplies by `factor`.
    pub fn scale(&mut self, factor: f32) {
        self.0.iter_mut().for_each(|x| *x *= factor);
    }
}
