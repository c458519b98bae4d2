//! A video on its way through the pipeline.

use foryou_actors::catalogue::{Entry, VideoIndex};

use super::sources::SourceKind;

/// One candidate and what the stages have found out about it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which video.
    pub video: VideoIndex,
    /// Its attributes.
    pub entry: Entry,
    /// Every source that found it; the first is the one it is attributed to.
    pub sources: Vec<SourceKind>,
    /// The best rank any source gave it, from 0.
    pub rank: u32,
    /// Predicted probability per outcome, in the order of the release's heads; empty while unranked.
    pub outcomes: Vec<f32>,
    /// Expected watch time, ms.
    pub watch_ms: f32,
    /// Row of this candidate in the request's feature matrix.
    pub row: Option<usize>,
    /// What the feed is ordered by; finite.
    pub utility: f32,
    /// Utility after diversity, as of the candidate's selection.
    pub score: f32,
    /// Whether an exploration slot took it.
    pub explore: bool,
    /// With which probability the policy put it into its slot.
    pub propensity: f32,
}

impl Candidate {
    /// A candidate as a source found it.
    pub fn new(video: VideoIndex, entry: Entry, source: SourceKind, rank: u32) -> Self {
        Self {
            video,
            entry,
            sources: vec![source],
            rank,
            outcomes: Vec::new(),
            watch_ms: 0.0,
            row: None,
            utility: 0.0,
            score: 0.0,
            explore: false,
            propensity: 1.0,
        }
    }
}
