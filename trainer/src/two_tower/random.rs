//! Random draws. Everything random in training comes from generators made here out of the seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A generator for one purpose: the same `seed` and `path` give the same draws, whichever thread asks.
pub(crate) fn generator(seed: u64, path: [u64; 2]) -> SmallRng {
    let mix = |state: u64, x: u64| {
        let mut z = state.wrapping_add(x).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    SmallRng::seed_from_u64(mix(mix(seed, path[0]), path[1]))
}

/// `n` draws from a normal distribution with mean 0 (Box and Muller).
pub(crate) fn normal(n: usize, deviation: f32, rng: &mut SmallRng) -> Vec<f32> {
    (0..n)
        .map(|_| {
            let (a, b) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
            deviation * (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
        })
        .collect()
}
