//! Videos near the ones that the person just enjoyed.

use async_trait::async_trait;
use foryou_actors::{catalogue::VideoIndex, sessions::state::Outcomes};

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// How many enjoyed videos are followed up, latest first.
const SEEDS: usize = 5;

/// Neighbours by item vector, taken turn about from the seeds.
pub struct Similar;

#[async_trait]
impl Source for Similar {
    fn kind(&self) -> SourceKind {
        SourceKind::Similar
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let enjoyed = request.session.actions.iter().rev().filter(|a| a.outcomes.any(Outcomes::ENJOYED));
        let seeds: Vec<_> = enjoyed.map(|a| a.video).take(SEEDS).collect();
        if seeds.is_empty() {
            return Ok(Vec::new());
        }
        let release = request.release.as_ref().ok_or("no release")?;
        let lists: Vec<_> = seeds.into_iter().map(|seed| release.neighbours(seed)).collect();
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|i| lists.iter().filter_map(move |list| list.get(i)));
        let unseen = turns.copied().filter(|&video| request.servable(video));
        Ok(unseen.take(request.settings.candidates.similar).collect())
    }
}
