//! What many people watch now, where the person is and everywhere.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// The country's lists and those of everywhere, each by time window, turn about.
pub struct Trending;

#[async_trait]
impl Source for Trending {
    fn kind(&self) -> SourceKind {
        SourceKind::Trending
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let trends = &request.trends;
        let country = request.country.and_then(|c| trends.countries.get(&c.bytes()));
        let lists: Vec<_> = country.into_iter().flatten().chain(&trends.everywhere).collect();
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|i| lists.iter().filter_map(move |list| list.get(i)));
        let wanted = request.settings.candidates.trending.count();
        // Lists overlap: take more than wanted, the merge drops repetitions.
        let unseen = turns.filter(|(_, score)| *score > 0.0).map(|(video, _)| *video).filter(|&v| request.servable(v));
        Ok(unseen.take(wanted * 2).collect())
    }
}
