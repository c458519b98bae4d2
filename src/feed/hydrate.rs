//! The feature stage: one row per candidate, all under one read of the statistics.

use super::{candidate::Candidate, request::Request};
use crate::features::{Inputs, Person, REGISTRY};

/// How many candidates ahead memory is asked for what they need.
const AHEAD: usize = 4;

/// The feature matrix of a feed.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct FeatureRows {
    /// Row-major `[candidates, REGISTRY.len()]`, NaN for unknown.
    pub values: Vec<f32>,
    /// Up to which event the statistics counted: with the session's own number it dates the features exactly.
    pub order: u64,
}

impl FeatureRows {
    /// The row of a candidate.
    pub fn row(&self, row: usize) -> &[f32] {
        let width = REGISTRY.len();
        self.values.get(row * width..(row + 1) * width).unwrap_or(&[])
    }
}

/// Computes the features of all candidates and notes each one's row.
pub fn apply(request: &Request, candidates: &mut [Candidate]) -> FeatureRows {
    let Some(release) = &request.release else { return FeatureRows::default() };
    let vectors = release.vectors();
    let statistics = request.live.statistics.read();
    let person = Person::new(Inputs {
        session: &request.session,
        catalogue: &request.catalogue,
        statistics: &statistics,
        vectors: &**vectors,
        user_vector: request.user_vector.as_deref(),
        now_ms: request.now.millis(),
        surface: request.surface,
    });
    let mut values = Vec::with_capacity(candidates.len() * REGISTRY.len());
    let mut rows = 0;
    candidates.iter().take(AHEAD).for_each(|candidate| person.prefetch(candidate.video));
    for n in 0..candidates.len() {
        candidates.get(n + AHEAD).into_iter().for_each(|soon| person.prefetch(soon.video));
        let candidate = &mut candidates[n];
        if person.row(candidate.video, &mut values) {
            candidate.row = Some(rows);
            rows += 1;
        }
    }
    FeatureRows { values, order: statistics.order() }
}
