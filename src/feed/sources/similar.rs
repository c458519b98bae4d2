//! Videos near the ones that the person just enjoyed.

use std::sync::Arc;

use async_trait::async_trait;
use foryou_actors::{catalogue::VideoIndex, sessions::state::Outcomes};

use super::{Source, SourceKind, place, turns};
use crate::feed::request::Request;

/// How many enjoyed videos are followed up, latest first.
const SEEDS: usize = 5;

/// Neighbours by item vector, taken turn about from the seeds.
pub struct Similar;

fn seeds(request: &Request) -> Vec<VideoIndex> {
    let enjoyed = request.session.actions.iter().rev().filter(|a| a.outcomes.any(Outcomes::ENJOYED));
    enjoyed.map(|a| a.video).take(SEEDS).collect()
}

/// Each seed's neighbours.
fn lists(request: &Request, seeds: &[VideoIndex]) -> Option<Vec<Arc<[VideoIndex]>>> {
    let release = request.release.as_ref()?;
    Some(seeds.iter().map(|seed| release.neighbours(*seed)).collect())
}

#[async_trait]
impl Source for Similar {
    fn kind(&self) -> SourceKind {
        SourceKind::Similar
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let seeds = seeds(request);
        if seeds.is_empty() {
            return Ok(Vec::new());
        }
        let lists = lists(request, &seeds).ok_or("no release")?;
        let lists: Vec<&[VideoIndex]> = lists.iter().map(|list| &**list).collect();
        let unseen = turns(&lists).copied().filter(|&video| request.servable(video));
        Ok(unseen.take(request.settings.candidates.similar.count()).collect())
    }

    /// Likeness to the nearest of the videos that are followed up.
    fn score(&self, request: &Request, video: VideoIndex) -> Option<f32> {
        let release = request.release.as_ref()?;
        seeds(request).into_iter().filter_map(|seed| release.likeness(seed, video)).max_by(f32::total_cmp)
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        let seeds = seeds(request);
        if seeds.is_empty() {
            return Err("the person enjoyed nothing lately");
        }
        let lists = lists(request, &seeds).ok_or("there is no release")?;
        let lists: Vec<&[VideoIndex]> = lists.iter().map(|list| &**list).collect();
        let unseen = turns(&lists).copied().filter(|&video| request.servable(video));
        place(unseen, video, "it is not among the neighbours of what the person enjoyed last")
    }
}
