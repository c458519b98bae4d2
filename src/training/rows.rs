//! The ranker's rows: features of an exposure as they were before it, and what came of it.

use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    sessions::state::{Applied, Outcomes, SessionState},
};

use super::{
    log::Logged,
    world::{Label, Labels, Moment},
};
use crate::features::{Inputs, ItemVectors, Person, REGISTRY};

/// The outcomes that the ranker predicts, in the order of its heads.
pub const HEADS: [(&str, Outcomes); 8] = [
    ("long_view", Outcomes::LONG_VIEW),
    ("finish", Outcomes::FINISH),
    ("like", Outcomes::LIKE),
    ("comment", Outcomes::COMMENT),
    ("share", Outcomes::SHARE),
    ("follow", Outcomes::FOLLOW),
    ("skip", Outcomes::SKIP),
    ("dislike", Outcomes::NEGATIVE),
];

/// Computes a person's vector from their session at a time (seconds since 1970).
pub type UserVector<'a> = &'a dyn Fn(&SessionState, &Catalogue, f64) -> anyhow::Result<Vec<f32>>;

/// The retrieval model whose scores are features.
#[derive(Clone, Copy)]
pub struct Retriever<'a> {
    /// Item vectors.
    pub vectors: &'a dyn ItemVectors,
    /// User vectors.
    pub user_vector: UserVector<'a>,
}

/// Rows in the order in which the exposures began.
#[derive(Default)]
pub struct Rows {
    /// Row-major `[N, F]`; NaN is unknown.
    pub features: Vec<f32>,
    /// `[N]`.
    pub users: Vec<u32>,
    /// `[N]`.
    pub videos: Vec<VideoIndex>,
    /// `[N]` milliseconds since 1970.
    pub at_ms: Vec<i64>,
    labels: Labels,
}

impl Rows {
    /// Adds the exposure that `event` is about to begin.
    pub fn add(&mut self, event: &Logged, moment: &Moment<'_>, retriever: Retriever<'_>) -> anyhow::Result<()> {
        let now_s = event.at_ms as f64 / 1e3;
        let user_vector = (retriever.user_vector)(moment.session, moment.catalogue, now_s)?;
        let person = Person::new(Inputs {
            session: moment.session,
            catalogue: moment.catalogue,
            statistics: &moment.statistics,
            vectors: retriever.vectors,
            user_vector: Some(&user_vector),
            now_ms: event.at_ms,
            surface: event.surface,
        });
        if person.row(event.video, &mut self.features) {
            self.users.push(event.user);
            self.videos.push(event.video);
            self.at_ms.push(event.at_ms);
            self.labels.open(event);
        }
        Ok(())
    }

    /// Adds what an applied event says about an exposure that was added.
    pub fn learn(&mut self, event: &Logged, applied: &Applied) {
        self.labels.learn(event, applied);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A row's features.
    pub fn row(&self, n: usize) -> &[f32] {
        &self.features[n * REGISTRY.len()..(n + 1) * REGISTRY.len()]
    }

    /// What came of each exposure.
    pub fn labels(&self) -> &[Label] {
        &self.labels.labels
    }

    /// One outcome of each exposure as 0 or 1.
    pub fn outcome(&self, outcome: Outcomes) -> Vec<f32> {
        self.labels().iter().map(|l| f32::from(u8::from(l.outcomes.any(outcome)))).collect()
    }

    /// Watch time of each exposure, milliseconds.
    pub fn watch_ms(&self) -> Vec<f32> {
        self.labels().iter().map(|l| l.watch_ms as f32).collect()
    }
}
