//! What a candidate is worth: the weighted sum of its predicted outcomes, less for what the person refused lately.

use foryou_actors::sessions::affinity::Affinities;

use super::{candidate::Candidate, request::Request, settings::UtilityWeights};

/// A creator's refusal weighs this many times a category's.
const CREATOR_REFUSAL: f32 = 2.0;

/// Sets each candidate's utility and sorts by it, best first. An unranked candidate is worth what its rank says; a
/// non-finite utility sinks.
pub fn apply(request: &Request, candidates: &mut [Candidate]) {
    let weights = &request.settings.utility;
    let refusals = Refusals::of(request);
    for candidate in candidates.iter_mut() {
        let value = match candidate.outcomes.is_empty() {
            true => 1.0 / (2.0 + candidate.rank as f32),
            false => value(weights, &candidate.outcomes, candidate.watch_ms),
        };
        let refused =
            refusals.category(candidate.entry.category) + CREATOR_REFUSAL * refusals.creator(candidate.entry.creator);
        let damped = damp(value, weights.refusal * refused);
        candidate.utility = if damped.is_finite() { damped } else { f32::MIN };
        candidate.score = candidate.utility;
    }
    candidates.sort_by(|a, b| b.utility.total_cmp(&a.utility));
}

/// The weighted sum; `outcomes` in the order of [`super::candidate::OUTCOMES`].
fn value(weights: &UtilityWeights, outcomes: &[f32], watch_ms: f32) -> f32 {
    let w = [
        weights.long_view,
        weights.finish,
        weights.like,
        weights.comment,
        weights.share,
        weights.follow,
        weights.skip,
        weights.dislike,
    ];
    outcomes.iter().zip(w).map(|(p, w)| p * w).sum::<f32>() + weights.watch_s * watch_ms / 1e3
}

/// Shrinks what is good and enlarges what is bad by `e^strength`.
pub(super) fn damp(value: f32, strength: f32) -> f32 {
    value * if value > 0.0 { (-strength).exp() } else { strength.exp() }
}

/// Decayed refusals of a person, by category and creator.
struct Refusals<'a> {
    categories: &'a Affinities,
    creators: &'a Affinities,
    any: bool,
    now_s: f64,
}

impl<'a> Refusals<'a> {
    fn of(request: &'a Request) -> Self {
        let (categories, creators) = (&request.session.categories, &request.session.creators);
        let any = categories.rows.iter().chain(&creators.rows).any(|row| row.refused > 0.0);
        Self { categories, creators, any, now_s: request.now.seconds() }
    }
    fn category(&self, key: u32) -> f32 {
        if self.any { self.categories.at(key, self.now_s).refused } else { 0.0 }
    }
    fn creator(&self, key: u32) -> f32 {
        if self.any { self.creators.at(key, self.now_s).refused } else { 0.0 }
    }
}
