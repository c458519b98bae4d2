//! The selection: slot by slot the best candidate, after fatigue of its creator and category and with exploration slots.
//!
//! Fatigue counts what was served lately, in this feed and in earlier ones, with decay, so that variety does not forget at
//! each request. Greedy re-ranking with multiplicative discounts, in the spirit of maximal marginal relevance (Carbonell and
//! Goldstein, 1998).

use std::collections::HashMap;

use super::{
    candidate::{Candidate, Fatigue},
    explore::Exploration,
    fate::Fate,
    request::Request,
    utility::damp,
};

/// Picks up to `request.limit` items out of `candidates` (sorted by utility, best first), in serving order.
pub fn select(request: &Request, candidates: Vec<Candidate>, fate: &mut Fate) -> Vec<Candidate> {
    let mut slots =
        Slots { left: candidates, given: 0, fatigues: Fatigues::of(request), exploration: Exploration::new(request) };
    let mut feed = Vec::with_capacity(request.limit);
    while feed.len() < request.limit && !slots.left.is_empty() {
        fate.compared(&slots.fatigues);
        feed.extend(slots.next());
    }
    fate.selected(&feed, slots);
    feed
}

/// Gives the slots of a feed away, one after the other, until no candidate is left.
struct Slots {
    left: Vec<Candidate>,
    given: usize,
    fatigues: Fatigues,
    exploration: Exploration,
}

impl Iterator for Slots {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        if self.left.is_empty() {
            return None;
        }
        let choice = self.exploration.choose(self.given, &self.left, best_of(&self.left, &self.fatigues));
        let mut item = self.left.remove(choice.at);
        (item.explore, item.propensity) = (choice.explore, choice.propensity);
        self.fatigues.hold_against(&mut item);
        self.fatigues.served(&item);
        self.given += 1;
        Some(item)
    }
}

/// The place of the best candidate after fatigue.
fn best_of(left: &[Candidate], fatigues: &Fatigues) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, candidate) in left.iter().enumerate() {
        // The list is sorted and fatigue only takes away: nothing further down can win.
        if candidate.utility <= best.1 {
            break;
        }
        let score = discounted(candidate, fatigues.of_candidate(candidate));
        if score > best.1 {
            best = (i, score);
        }
    }
    best.0
}

/// Decayed counts of what the person was served, by creator and category; in natural-log discounts.
pub struct Fatigues {
    creators: HashMap<u32, f32>,
    categories: HashMap<u32, f32>,
    creator_cost: f32,
    category_cost: f32,
    per_position: f32,
}

impl Fatigues {
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

    fn of_candidate(&self, candidate: &Candidate) -> Fatigue {
        let count = |counts: &HashMap<u32, f32>, key| counts.get(&key).copied().unwrap_or(0.0);
        Fatigue {
            creator: self.creator_cost * count(&self.creators, candidate.entry.creator),
            category: self.category_cost * count(&self.categories, candidate.entry.category),
        }
    }

    /// Scores a candidate as of now.
    pub fn hold_against(&self, candidate: &mut Candidate) {
        candidate.fatigue = self.of_candidate(candidate);
        // A utility at the very bottom may leave the range when it is discounted.
        candidate.score = discounted(candidate, candidate.fatigue).max(f32::MIN);
    }

    fn served(&mut self, item: &Candidate) {
        for count in self.creators.values_mut().chain(self.categories.values_mut()) {
            *count *= self.per_position;
        }
        *self.creators.entry(item.entry.creator).or_default() += 1.0;
        *self.categories.entry(item.entry.category).or_default() += 1.0;
    }
}

fn discounted(candidate: &Candidate, fatigue: Fatigue) -> f32 {
    damp(candidate.utility, fatigue.creator + fatigue.category)
}

/// What fatigue of its creator, and of its category, adds to the utility of a candidate that was scored.
pub fn worth(candidate: &Candidate) -> [(&'static str, f32); 2] {
    let by_creator = damp(candidate.utility, candidate.fatigue.creator).max(f32::MIN);
    [("creator_fatigue", by_creator - candidate.utility), ("category_fatigue", candidate.score - by_creator)]
}
