//! What is prepared once per request, and the row of one candidate.

use foryou_actors::{
    catalogue::{Catalogue, Entry, VideoIndex},
    sessions::state::SessionState,
    statistics::Statistics,
};

use super::registry::REGISTRY;

/// Item vectors by dense number, in the layout of `foryou_trainer::two_tower`: `[4 v, bias]`, without recency prior.
pub trait ItemVectors {
    /// The vector of a video, if it has one.
    fn vector(&self, video: VideoIndex) -> Option<&[f32]>;
}

/// All that features may depend on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The person, before the outcome that is to be predicted.
    pub session: &'a SessionState,
    /// The videos.
    pub catalogue: &'a Catalogue,
    /// What happened to videos so far.
    pub statistics: &'a Statistics,
    /// The release's item vectors.
    pub vectors: &'a dyn ItemVectors,
    /// The release's vector of this person (`[u, 1]`); `None` while there is no release.
    pub user_vector: Option<&'a [f32]>,
    /// The time of the request, milliseconds since 1970.
    pub now_ms: i64,
    /// Dense number of the surface that asks.
    pub surface: u16,
}

/// A person at the moment of a request.
pub struct Person<'a> {
    pub(super) inputs: Inputs<'a>,
}

/// A candidate with what its features read.
pub(super) struct Candidate<'a> {
    pub entry: &'a Entry,
    pub retrieval: f32,
}

impl<'a> Person<'a> {
    /// Prepares what all candidates share.
    pub fn new(inputs: Inputs<'a>) -> Self {
        Self { inputs }
    }

    /// Appends the candidate's row (`REGISTRY.len()` values, NaN for unknown) to `out`. Returns whether the video is known.
    pub fn row(&self, video: VideoIndex, out: &mut Vec<f32>) -> bool {
        let Some(entry) = self.inputs.catalogue.entry(video) else { return false };
        let vector = self.inputs.vectors.vector(video);
        let retrieval = match (self.inputs.user_vector, vector) {
            (Some(user), Some(item)) => super::vector::dot(user, item),
            _ => f32::NAN,
        };
        let candidate = Candidate { entry, retrieval };
        out.extend(REGISTRY.iter().map(|feature| {
            let value = (feature.value)(self, &candidate);
            if value.is_finite() { value.clamp(feature.range.0, feature.range.1) } else { f32::NAN }
        }));
        true
    }
}
