//! Exploration slots: with a known probability a slot goes to a video that needs a first audience.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{candidate::Candidate, request::Request, sources::SourceKind};

/// Draws the slots of one feed. Reproducible from the request's seed.
pub struct Exploration {
    rng: SmallRng,
    share: f32,
    first: usize,
}

/// Who gets a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Its place among the candidates that are left.
    pub at: usize,
    /// Whether chance decided.
    pub explore: bool,
    /// With which probability the policy gives this slot to this candidate, chance and rank together.
    pub propensity: f32,
}

impl Exploration {
    /// The policy for one feed.
    pub fn new(request: &Request) -> Self {
        let settings = &request.settings.exploration;
        Self {
            rng: SmallRng::seed_from_u64(request.seed ^ 0x9e37_79b9_7f4a_7c15),
            share: if request.explore { settings.share.get() } else { 0.0 },
            first: settings.first_position.count(),
        }
    }

    /// Decides on a slot: with probability `share` one of the fresh candidates that are left, each as likely, else `best`.
    /// Where no fresh one is left, it is always `best`.
    pub fn choose(&mut self, position: usize, left: &[Candidate], best: usize) -> Choice {
        let certain = Choice { at: best, explore: false, propensity: 1.0 };
        if position < self.first || self.share <= 0.0 {
            return certain;
        }
        let fresh = |(_, candidate): &(usize, &Candidate)| candidate.is_from(SourceKind::Fresh);
        let pool: Vec<usize> = left.iter().enumerate().filter(fresh).map(|(i, _)| i).collect();
        if pool.is_empty() {
            return certain;
        }
        let explore = self.rng.random::<f32>() < self.share;
        let at = if explore { pool[self.rng.random_range(0..pool.len())] } else { best };
        let by_chance = if pool.contains(&at) { self.share / pool.len() as f32 } else { 0.0 };
        let by_rank = if at == best { 1.0 - self.share } else { 0.0 };
        Choice { at, explore, propensity: by_chance + by_rank }
    }
}
