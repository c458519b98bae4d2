//! Every ranker feature by name: what it is about, what it may be, how it is computed.

use super::person::{Candidate, Person};

/// What a feature describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// The request.
    Context,
    /// The video.
    Video,
    /// The person.
    User,
    /// The person and the video together.
    Cross,
}

/// One column of the ranker's input.
pub struct Feature {
    /// Its name, unique; part of a release's feature schema.
    pub name: &'static str,
    /// What it describes.
    pub entity: Entity,
    /// Smallest and largest value; NaN (unknown) is always allowed.
    pub range: (f32, f32),
    /// What it means, with its unit.
    pub about: &'static str,
    /// Computes it. The result is clamped to `range`; a non-finite one counts as unknown.
    pub(super) value: fn(&Person<'_>, &Candidate<'_>) -> f32,
}

/// The ranker's columns, in order. Changing it makes older releases unloadable ([`schema_hash`]).
pub const REGISTRY: &[Feature] = &[
    Feature {
        name: "duration_log",
        entity: Entity::Video,
        range: (0.0, 12.0),
        about: "natural logarithm of 1 + length in seconds",
        value: |_, c| (c.entry.duration_ms as f32 / 1e3).ln_1p(),
    },
    Feature {
        name: "retrieval_score",
        entity: Entity::Cross,
        range: (-1e3, 1e3),
        about: "two-tower score without the recency prior",
        value: |_, c| c.retrieval,
    },
];

/// The columns' names, in order.
pub fn names() -> Vec<String> {
    REGISTRY.iter().map(|f| f.name.to_owned()).collect()
}

/// Identifies the registry: a release trained on other columns, in another order, is refused.
pub fn schema_hash() -> String {
    let text: String = REGISTRY.iter().map(|f| format!("{}\n", f.name)).collect();
    format!("{:016x}", foryou_actors::sessions::state::event_hash(&text))
}
