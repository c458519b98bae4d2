//! Clustered unit vectors, seeded: what the towers of a catalogue with genres put out, roughly.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Draws items and queries from one mixture of clusters on the unit sphere.
pub(crate) struct Clusters {
    rng: StdRng,
    centres: Vec<Vec<f32>>,
    spread: f32,
}

impl Clusters {
    /// `count` clusters of `dim` components. `spread` is the length of the noise relative to the centre's.
    pub fn new(seed: u64, dim: usize, count: usize, spread: f32) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let centres = (0..count).map(|_| unit(normal(&mut rng, dim))).collect();
        Self { rng, centres, spread }
    }

    /// A unit vector near the centre of a cluster.
    pub fn draw(&mut self) -> Vec<f32> {
        let at = self.rng.random_range(0..self.centres.len());
        let scale = self.spread / (self.centres[at].len() as f32).sqrt();
        let noise = normal(&mut self.rng, self.centres[at].len());
        unit(self.centres[at].iter().zip(noise).map(|(c, n)| c + scale * n).collect())
    }

    pub fn draw_many(&mut self, count: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| self.draw()).collect()
    }

    /// Priors, normal with this deviation.
    pub fn priors(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        normal(&mut self.rng, count).iter().map(|x| deviation * x).collect()
    }
}

/// Standard normal numbers (Box and Muller, 1958).
fn normal(rng: &mut StdRng, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| {
            let (u, v): (f32, f32) = (rng.random(), rng.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * v).cos()
        })
        .collect()
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}
