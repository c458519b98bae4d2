//! What many people watch now, where the person is and everywhere.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind, listed, place, turns};
use crate::feed::request::Request;

/// The country's lists and those of everywhere, each by time window, turn about.
pub struct Trending;

type List<'a> = &'a [(VideoIndex, f32)];

fn lists(request: &Request) -> Vec<List<'_>> {
    let trends = &request.trends;
    let country = request.country.and_then(|c| trends.countries.get(&c.bytes()));
    country.into_iter().flatten().chain(&trends.everywhere).map(Vec::as_slice).collect()
}

fn order<'a>(request: &'a Request, lists: &'a [List<'a>]) -> impl Iterator<Item = VideoIndex> {
    let liked = turns(lists).filter(|(_, score)| *score > 0.0);
    liked.map(|(video, _)| *video).filter(|&video| request.servable(video))
}

#[async_trait]
impl Source for Trending {
    fn kind(&self) -> SourceKind {
        SourceKind::Trending
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let wanted = request.settings.candidates.trending.count();
        // Lists overlap: take more than wanted, the merge drops repetitions.
        Ok(order(request, &lists(request)).take(wanted * 2).collect())
    }

    fn score(&self, request: &Request, video: VideoIndex) -> Option<f32> {
        listed(&lists(request), video)
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        place(order(request, &lists(request)), video, "it is not among the popular ones, here or everywhere")
    }
}
