//! Exploration slots: with a known probability a slot goes to a video that needs a first audience.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{candidate::Candidate, request::Request, sources::SourceKind};

/// Draws the slots of one feed. Reproducible from the request's seed.
pub struct Exploration {
    rng: SmallRng,
    share: f32,
    first: usize,
}

impl Exploration {
    /// The policy for one feed.
    pub fn new(request: &Request, candidates: usize) -> Self {
        let settings = &request.settings.exploration;
        let share = if request.explore && candidates > 0 { settings.share } else { 0.0 };
        Self {
            rng: SmallRng::seed_from_u64(request.seed ^ 0x9e37_79b9_7f4a_7c15),
            share,
            first: settings.first_position,
        }
    }

    /// With probability `share`, takes one of the fresh candidates that are left, each as likely: its propensity is
    /// `share / number of them`.
    pub fn draw(&mut self, position: usize, left: &mut Vec<Candidate>) -> Option<Candidate> {
        if position < self.first || self.share <= 0.0 || self.rng.random::<f32>() >= self.share {
            return None;
        }
        let pool: Vec<usize> =
            left.iter().enumerate().filter(|(_, c)| c.sources.contains(&SourceKind::Fresh)).map(|(i, _)| i).collect();
        if pool.is_empty() {
            return None;
        }
        let mut item = left.remove(pool[self.rng.random_range(0..pool.len())]);
        item.explore = true;
        item.propensity = self.share / pool.len() as f32;
        Some(item)
    }

    /// The propensity of the best candidate in a slot that did not explore.
    pub fn exploit_propensity(&self, position: usize) -> f32 {
        if position < self.first { 1.0 } else { 1.0 - self.share }
    }
}
