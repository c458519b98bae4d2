//! The selection: slot by slot the best candidate, after fatigue of its creator and category and with exploration slots.
//!
//! Fatigue counts what was served lately, in this feed and in earlier ones, with decay, so that variety does not forget at
//! each request. Greedy re-ranking with multiplicative discounts, in the spirit of maximal marginal relevance (Carbonell and
//! Goldstein, 1998).

use std::collections::HashMap;

use super::{candidate::Candidate, explore::Exploration, request::Request, utility::damp};

/// How many of the best remaining candidates are compared for each slot.
const COMPARED: usize = 128;

/// Picks up to `request.limit` items out of `candidates` (sorted by utility, best first), in serving order.
pub fn select(request: &Request, candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut fatigue = Fatigue::of(request);
    let mut exploration = Exploration::new(request);
    let mut left = candidates;
    let mut feed = Vec::with_capacity(request.limit);
    while feed.len() < request.limit && !left.is_empty() {
        let choice = exploration.choose(feed.len(), &left, best_of(&left, &fatigue));
        let mut item = left.remove(choice.at);
        (item.explore, item.propensity) = (choice.explore, choice.propensity);
        // A utility at the very bottom may leave the range when it is discounted.
        item.score = fatigue.discounted(&item).max(f32::MIN);
        fatigue.served(&item);
        feed.push(item);
    }
    feed
}

/// The place of the best candidate after fatigue.
fn best_of(left: &[Candidate], fatigue: &Fatigue) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, candidate) in left.iter().enumerate().take(COMPARED) {
        // The list is sorted and fatigue only takes away: nothing further down can win.
        if candidate.utility <= best.1 {
            break;
        }
        let score = fatigue.discounted(candidate);
        if score > best.1 {
            best = (i, score);
        }
    }
    best.0
}

/// Decayed counts of what the person was served, by creator and category; in natural-log discounts.
struct Fatigue {
    creators: HashMap<u32, f32>,
    categories: HashMap<u32, f32>,
    creator_cost: f32,
    category_cost: f32,
    per_position: f32,
}

impl Fatigue {
    fn of(request: &Request) -> Self {
        let settings = &request.settings.diversity;
        let mut fatigue = Self {
            creators: HashMap::new(),
            categories: HashMap::new(),
            creator_cost: -settings.creator.get().max(0.01).ln(),
            category_cost: -settings.category.get().max(0.01).ln(),
            per_position: (-1.0 / settings.half_life_positions.get() as f32).exp2(),
        };
        for served in &request.session.served {
            let age_s = (request.now.seconds() - f64::from(served.at_s)).max(0.0) as f32;
            let weight = (-age_s / settings.half_life_s.get() as f32).exp2();
            if let Some(entry) = request.catalogue.entry(served.video).filter(|_| weight > 0.01) {
                // What an earlier feed served has half the say of this one's: much of it was never looked at.
                *fatigue.creators.entry(entry.creator).or_default() += 0.5 * weight;
                *fatigue.categories.entry(entry.category).or_default() += 0.1 * weight;
            }
        }
        fatigue
    }

    fn discounted(&self, candidate: &Candidate) -> f32 {
        let count = |counts: &HashMap<u32, f32>, key| counts.get(&key).copied().unwrap_or(0.0);
        let cost = self.creator_cost * count(&self.creators, candidate.entry.creator)
            + self.category_cost * count(&self.categories, candidate.entry.category);
        damp(candidate.utility, cost)
    }

    fn served(&mut self, item: &Candidate) {
        for count in self.creators.values_mut().chain(self.categories.values_mut()) {
            *count *= self.per_position;
        }
        *self.creators.entry(item.entry.creator).or_default() += 1.0;
        *self.categories.entry(item.entry.category).or_default() += 1.0;
    }
}
