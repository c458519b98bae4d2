//! What may not be shown, whoever found it.

use foryou_actors::catalogue::Entry;

use super::{candidate::Candidate, request::Request};

/// A rule that removes candidates.
pub struct Filter {
    /// Its name in answers and metrics.
    pub name: &'static str,
    /// Why it removes, as a sentence about the video.
    pub about: &'static str,
    /// Whether the candidate may stay.
    pub keeps: fn(&Request, &Candidate) -> bool,
}

/// Every filter, in order.
pub static FILTERS: [Filter; 5] = [
    Filter { name: "removed", about: "it was taken down", keeps: |_, c| c.entry.live },
    // Served but unseen videos may return; seen ones do not within their window.
    Filter { name: "seen", about: "the person saw it within the seen window", keeps: |r, c| !r.seen(c.video) },
    Filter {
        name: "blocked_creator",
        about: "the person blocked its creator",
        keeps: |r, c| !r.blocked(c.entry.creator),
    },
    Filter { name: "reported", about: "the person reported it", keeps: |r, c| !r.session.reported.contains(&c.video) },
    Filter {
        name: "age_rating",
        about: "it is rated for an older age than the person's, which is taken to be 13 where it is not known",
        keeps: |r, c| old_enough(r.session.profile.age, &c.entry),
    },
];

/// Somebody whose age is not known sees what is free for teenagers.
const ASSUMED_AGE: u8 = 13;

fn old_enough(age: Option<u8>, entry: &Entry) -> bool {
    age.unwrap_or(ASSUMED_AGE) >= entry.age_rating
}

/// The first filter that refuses a candidate.
pub fn refusal(request: &Request, candidate: &Candidate) -> Option<&'static Filter> {
    FILTERS.iter().find(|filter| !(filter.keeps)(request, candidate))
}

/// Removes what a filter refuses; the removed come back with the filter's name.
pub fn apply(request: &Request, candidates: &mut Vec<Candidate>) -> Vec<(u32, &'static str)> {
    let mut removed = Vec::new();
    candidates.retain(|candidate| {
        let refusal = refusal(request, candidate);
        removed.extend(refusal.map(|filter| (candidate.video, filter.name)));
        refusal.is_none()
    });
    removed
}
