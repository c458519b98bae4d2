//! The driver: the stages in order, each timed, each counted.

use std::{collections::HashMap, sync::Arc, time::Instant};

use foryou_actors::catalogue::VideoIndex;
use futures_util::future::join_all;

use super::{
    candidate::{Candidate, Found},
    diversify,
    fate::{Fate, Noted},
    filters,
    hydrate::{self, FeatureRows},
    rank,
    request::Request,
    sources::{Category, Fallback, Followed, Fresh, Similar, Source, SourceKind, Trending, TwoTower},
    stages::{Stage, StageTimes},
    utility,
};

/// A feed before it is dressed for the client.
pub struct Made {
    /// In serving order.
    pub items: Vec<Candidate>,
    /// What fell back and why, as `stage: reason`.
    pub degraded: Vec<String>,
    /// Rows of the items' features.
    pub features: FeatureRows,
    /// What each stage took.
    pub times: StageTimes,
    /// What the filters removed, with the filter's name.
    pub removed: Vec<(VideoIndex, &'static str)>,
    /// How many candidates were ranked.
    pub ranked: usize,
    /// How many videos each source found.
    pub found: Vec<(SourceKind, usize)>,
    /// Sources that took longer than they may.
    pub overran: Vec<&'static str>,
    /// What became of the video that the request names.
    pub fate: Option<Noted>,
}

/// The stages of every feed.
#[derive(Clone)]
pub struct Pipeline {
    sources: Arc<[Box<dyn Source>]>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::of(default_sources())
    }
}

fn default_sources() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(TwoTower),
        Box::new(Similar),
        Box::new(Followed),
        Box::new(Category),
        Box::new(Trending),
        Box::new(Fresh),
    ]
}

impl Pipeline {
    /// With these sources.
    pub fn of(sources: Vec<Box<dyn Source>>) -> Self {
        Self { sources: sources.into() }
    }

    /// Only one of the sources, by name, for batch comparisons.
    pub fn only(source: &str) -> Option<Self> {
        let mut sources = default_sources();
        sources.retain(|s| s.kind().name() == source);
        (!sources.is_empty()).then(|| Self::of(sources))
    }

    /// Names of all sources.
    pub fn source_names(&self) -> Vec<&'static str> {
        self.sources.iter().map(|s| s.kind().name()).collect()
    }

    /// Every source that a feed asks.
    pub fn sources(&self) -> impl Iterator<Item = &dyn Source> {
        self.sources.iter().map(|source| &**source)
    }

    /// What the sources find and the filters keep, unranked and without a fallback: for comparing sources. The score is one
    /// divided by the place.
    pub async fn retrieve(&self, mut request: Request) -> Vec<Candidate> {
        let mut run = Run::start(&request);
        request.user_vector = run.user_vector(&request);
        let mut candidates = run.retrieve(&self.sources, &request).await;
        let _removed = filters::apply(&request, &mut candidates);
        candidates.truncate(request.limit);
        for (place, candidate) in (1..).zip(&mut candidates) {
            candidate.score = 1.0 / place as f32;
        }
        candidates
    }

    /// Makes a feed. The request comes back: what it holds belongs to the feed's story.
    pub async fn run(&self, mut request: Request) -> (Request, Made) {
        let mut run = Run::start(&request);
        request.user_vector = run.user_vector(&request);
        run.times.end(Stage::User);
        let mut candidates = run.retrieve(&self.sources, &request).await;
        run.times.end(Stage::Sources);
        let mut removed = filters::apply(&request, &mut candidates);
        if candidates.len() < request.limit {
            candidates = run.fill(candidates, &request).await;
            removed.extend(filters::apply(&request, &mut candidates));
        }
        let ranked = request.settings.candidates.ranked.count().max(request.limit);
        run.fate.filtered(&request);
        run.fate.cut(&candidates, ranked);
        candidates.truncate(ranked);
        run.times.end(Stage::Filters);
        let features = run.features(&request, &mut candidates);
        run.times.end(Stage::Features);
        run.rank(&request, &mut candidates, &features);
        run.times.end(Stage::Rank);
        utility::apply(&request, &mut candidates);
        run.fate.weighed(&request, &candidates);
        let ranked = candidates.len();
        let items = diversify::select(&request, candidates, &mut run.fate);
        run.times.end(Stage::Select);
        let Run { times, degraded, found, overran, fate } = run;
        (request, Made { items, degraded, features, times, removed, ranked, found, overran, fate: fate.told() })
    }
}

/// One feed in the making.
struct Run {
    times: StageTimes,
    degraded: Vec<String>,
    found: Vec<(SourceKind, usize)>,
    overran: Vec<&'static str>,
    fate: Fate,
}

impl Run {
    fn start(request: &Request) -> Self {
        let (times, fate) = (StageTimes::start(), Fate::of(request));
        Self { times, degraded: Vec::new(), found: Vec::new(), overran: Vec::new(), fate }
    }

    fn fell_back(&mut self, stage: &str, reason: impl std::fmt::Display) {
        self.degraded.push(format!("{stage}: {reason}"));
    }

    fn user_vector(&mut self, request: &Request) -> Option<Vec<f32>> {
        let Some(release) = &request.release else {
            self.fell_back("models", "no release");
            return None;
        };
        let vector = release.user_vector(&request.session, &request.catalogue, request.now.seconds());
        vector.map_err(|e| self.fell_back("user_tower", e)).ok()
    }

    /// Asks all sources at once and merges what they found, turn about, so that a cut takes something from each.
    async fn retrieve(&mut self, sources: &[Box<dyn Source>], request: &Request) -> Vec<Candidate> {
        let budget = request.settings.source_budget_ms.millis();
        let asked = sources.iter().filter(|s| request.release.is_some() || !needs_release(s.kind()));
        let answers = asked.map(|source| async move {
            // A source that waits is cut off by the timer. One that computes cannot be: it is not begun when the feed is late
            // already, and counted when it took too long.
            let began = Instant::now();
            let found = match request.late() {
                true => Err("timeout".to_owned()),
                false => {
                    let found = tokio::time::timeout(budget, source.find(request)).await;
                    found.unwrap_or_else(|_| Err("timeout".to_owned()))
                }
            };
            (source.kind(), found, began.elapsed() > budget)
        });
        let mut lists = Vec::new();
        for (kind, found, overran) in join_all(answers).await {
            self.overran.extend(overran.then_some(kind.name()));
            match found {
                Ok(videos) => {
                    self.found.push((kind, videos.len()));
                    lists.push((kind, videos));
                }
                Err(reason) => self.fell_back(kind.name(), reason),
            }
        }
        let candidates = merge(request, Vec::new(), &lists);
        self.fate.found(&candidates);
        candidates
    }

    async fn fill(&mut self, candidates: Vec<Candidate>, request: &Request) -> Vec<Candidate> {
        match Fallback.find(request).await {
            Ok(videos) => {
                self.found.push((SourceKind::Fallback, videos.len()));
                let candidates = merge(request, candidates, &[(SourceKind::Fallback, videos)]);
                self.fate.found(&candidates);
                candidates
            }
            Err(reason) => {
                self.fell_back("fallback", reason);
                candidates
            }
        }
    }

    fn features(&mut self, request: &Request, candidates: &mut [Candidate]) -> FeatureRows {
        if request.release.is_some() && request.late() {
            self.fell_back("features", "timeout");
            return FeatureRows::default();
        }
        hydrate::apply(request, candidates)
    }

    fn rank(&mut self, request: &Request, candidates: &mut [Candidate], features: &FeatureRows) {
        if request.release.is_none() || (features.values.is_empty() && !candidates.is_empty()) {
            return; // Said already.
        }
        let outcome =
            if request.late() { Err("timeout".to_owned()) } else { rank::apply(request, candidates, features) };
        if let Err(reason) = outcome {
            self.fell_back("ranker", reason);
        }
    }
}

fn needs_release(kind: SourceKind) -> bool {
    matches!(kind, SourceKind::TwoTower | SourceKind::Similar)
}

/// Adds what sources found to `candidates`, rank by rank; a video found twice keeps its first place and both names.
fn merge(request: &Request, mut candidates: Vec<Candidate>, lists: &[(SourceKind, Vec<VideoIndex>)]) -> Vec<Candidate> {
    let mut place: HashMap<VideoIndex, usize> = candidates.iter().enumerate().map(|(i, c)| (c.video, i)).collect();
    let longest = lists.iter().map(|(_, videos)| videos.len()).max().unwrap_or(0);
    for rank in 0..longest {
        for (kind, videos) in lists {
            let Some(&video) = videos.get(rank) else { continue };
            if let Some(&at) = place.get(&video) {
                let known = &mut candidates[at];
                if !known.is_from(*kind) {
                    known.sources.push(Found { source: *kind, rank: rank as u32 });
                }
            } else if let Some(entry) = request.catalogue.entry(video) {
                place.insert(video, candidates.len());
                candidates.push(Candidate::new(video, *entry, *kind, rank as u32));
            }
        }
    }
    candidates
}
