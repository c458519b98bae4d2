//! What a candidate is worth: the weighted sum of its predicted outcomes, less for what the person refused lately.

use foryou_actors::sessions::affinity::Affinities;

use super::{candidate::Candidate, request::Request};

/// A creator's refusal weighs this many times a category's.
const CREATOR_REFUSAL: f32 = 2.0;

/// Sets each candidate's utility and sorts by it, best first. An unranked candidate is worth what its rank says; a
/// non-finite utility sinks.
pub fn apply(request: &Request, candidates: &mut [Candidate]) {
    let (weights, settings) = (head_weights(request), &request.settings.utility);
    let refusals = Refusals::of(request);
    for candidate in candidates.iter_mut() {
        let value = match candidate.outcomes.is_empty() {
            true => 1.0 / (2.0 + candidate.rank as f32),
            false => value(&weights, &candidate.outcomes, settings.watch_minute.get() * candidate.watch_ms / 60e3),
        };
        let refused =
            refusals.category(candidate.entry.category) + CREATOR_REFUSAL * refusals.creator(candidate.entry.creator);
        let value = damp(value, -settings.mood.get() * request.mood.at(candidate.entry.category));
        let damped = damp(value, settings.refusal.get() * refused);
        candidate.utility = if damped.is_finite() { damped } else { f32::MIN };
        candidate.score = candidate.utility;
    }
    candidates.sort_by(|a, b| b.utility.total_cmp(&a.utility));
}

/// The weighted sum; `weights` in the order of `outcomes`.
fn value(weights: &[f32], outcomes: &[f32], watched: f32) -> f32 {
    outcomes.iter().zip(weights).map(|(p, w)| p * w).sum::<f32>() + watched
}

/// The weight of each of the release's heads; an outcome that the settings do not name weighs nothing.
fn head_weights(request: &Request) -> Vec<f32> {
    let w = &request.settings.utility;
    let heads = request.release.iter().flat_map(|serving| &serving.release.manifest.heads);
    let weight = |head: &String| match head.as_str() {
        "long_view" => w.long_view.get(),
        "finish" => w.finish.get(),
        "like" => w.like.get(),
        "comment" => w.comment.get(),
        "share" => w.share.get(),
        "follow" => w.follow.get(),
        "skip" => w.skip.get(),
        "dislike" => w.dislike.get(),
        _ => 0.0,
    };
    heads.map(weight).collect()
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
