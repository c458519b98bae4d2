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
    pub sources: Vec<Found>,
    /// Predicted probability per outcome, in the order of the release's heads; empty while unranked.
    pub outcomes: Vec<f32>,
    /// Expected watch time, ms.
    pub watch_ms: f32,
    /// Row of this candidate in the request's feature matrix.
    pub row: Option<usize>,
    /// What the feed is ordered by; finite.
    pub utility: f32,
    /// Its place by utility among all that are weighed, from 0.
    pub place: u32,
    /// What diversity held against it as of its selection.
    pub fatigue: Fatigue,
    /// Utility after diversity, as of the candidate's selection.
    pub score: f32,
    /// Whether an exploration slot took it.
    pub explore: bool,
    /// With which probability the policy put it into its slot.
    pub propensity: f32,
}

/// That a source found a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which source.
    pub source: SourceKind,
    /// Its place in what the source brought, from 0.
    pub rank: u32,
}

/// What is held against a video because of what was shown lately, in natural-log discounts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fatigue {
    /// Of its creator.
    pub creator: f32,
    /// Of its category.
    pub category: f32,
}

impl Candidate {
    /// A candidate as a source found it.
    pub fn new(video: VideoIndex, entry: Entry, source: SourceKind, rank: u32) -> Self {
        Self { sources: vec![Found { source, rank }], ..Self::unfound(video, entry) }
    }

    /// A video that no source found, to be weighed all the same.
    pub fn unfound(video: VideoIndex, entry: Entry) -> Self {
        Self {
            video,
            entry,
            sources: Vec::new(),
            outcomes: Vec::new(),
            watch_ms: 0.0,
            row: None,
            utility: 0.0,
            place: 0,
            fatigue: Fatigue::default(),
            score: 0.0,
            explore: false,
            propensity: 1.0,
        }
    }

    /// The source it is attributed to, and its rank there.
    #[inline]
    pub fn found(&self) -> Option<Found> {
        self.sources.first().copied()
    }

    /// The name of the source it is attributed to; empty where none found it.
    pub fn source(&self) -> &'static str {
        self.found().map_or("", |found| found.source.name())
    }

    /// Whether this source found it.
    pub fn is_from(&self, source: SourceKind) -> bool {
        self.sources.iter().any(|found| found.source == source)
    }
}
