//! What a candidate is worth: the weighted sum of its predicted outcomes, less for what the person refused lately.

use foryou_actors::sessions::affinity::Affinities;

use super::{candidate::Candidate, request::Request};

/// A creator's refusal weighs this many times a category's.
const CREATOR_REFUSAL: f32 = 2.0;

/// Sets each candidate's utility and sorts by it, best first. An unranked candidate is worth what its rank says; a
/// non-finite utility sinks.
pub fn apply(request: &Request, candidates: &mut [Candidate]) {
    let scale = Scale::of(request);
    for candidate in candidates.iter_mut() {
        let utility = scale.weigh(candidate, |_, _| ());
        candidate.utility = if utility.is_finite() { utility } else { f32::MIN };
        candidate.score = candidate.utility;
    }
    candidates.sort_by(|a, b| b.utility.total_cmp(&a.utility));
    for (place, candidate) in (0..).zip(candidates) {
        candidate.place = place;
    }
}

/// What the candidates of one feed are weighed with.
pub struct Scale<'a> {
    request: &'a Request,
    /// Each of the release's heads with its weight.
    weights: Vec<(&'a str, f32)>,
    refusals: Refusals<'a>,
}

impl<'a> Scale<'a> {
    /// For one feed.
    pub fn of(request: &'a Request) -> Self {
        let heads = request.release.iter().flat_map(|serving| &serving.release.manifest.heads);
        let weights = heads.map(|head| (head.as_str(), weight(request, head))).collect();
        Self { request, weights, refusals: Refusals::of(request) }
    }

    /// A candidate's utility, which may be not finite. `told` hears what goes into it, in order, and how much each adds: together
    /// they are the utility, but for rounding.
    pub fn weigh(&self, candidate: &Candidate, mut told: impl FnMut(&'a str, f32)) -> f32 {
        let settings = &self.request.settings.utility;
        let mut value = match candidate.outcomes.is_empty() {
            true => {
                let by_rank = candidate.found().map_or(0.0, |found| 1.0 / (2.0 + found.rank as f32));
                told("rank", by_rank);
                by_rank
            }
            false => {
                let mut sum = 0.0;
                for (p, (head, weight)) in candidate.outcomes.iter().zip(&self.weights) {
                    told(head, p * weight);
                    sum += p * weight;
                }
                let watched = settings.watch_minute.get() * candidate.watch_ms / 60e3;
                told("watch_ms", watched);
                sum + watched
            }
        };
        let Candidate { entry, .. } = candidate;
        let refused = self.refusals.category(entry.category) + CREATOR_REFUSAL * self.refusals.creator(entry.creator);
        let mood = self.request.mood.at(entry.category);
        for (name, strength) in [("mood", -settings.mood.get() * mood), ("refusal", settings.refusal.get() * refused)] {
            let damped = damp(value, strength);
            told(name, damped - value);
            value = damped;
        }
        value
    }
}

/// What an outcome's probability weighs; nothing where the settings do not name it.
fn weight(request: &Request, head: &str) -> f32 {
    let w = &request.settings.utility;
    match head {
        "long_view" => w.long_view.get(),
        "finish" => w.finish.get(),
        "like" => w.like.get(),
        "comment" => w.comment.get(),
        "share" => w.share.get(),
        "follow" => w.follow.get(),
        "skip" => w.skip.get(),
        "dislike" => w.dislike.get(),
        _ => 0.0,
    }
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
