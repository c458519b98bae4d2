//! What is left when the other sources found too little.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind, place};
use crate::feed::request::Request;

/// What the client has at hand, all-time favourites, then the rest of the catalogue from a place that differs from feed to feed.
pub struct Fallback;

fn order(request: &Request) -> impl Iterator<Item = VideoIndex> {
    let popular = request.trends.everywhere.last().into_iter().flatten().map(|(video, _)| *video);
    let videos = request.catalogue.len() as u32;
    let start = if videos == 0 { 0 } else { (request.seed % u64::from(videos)) as u32 };
    let rest = (start..videos).chain(0..start);
    let at_hand = request.at_hand.iter().copied();
    at_hand.chain(popular).chain(rest).filter(|&video| request.servable(video))
}

#[async_trait]
impl Source for Fallback {
    fn kind(&self) -> SourceKind {
        SourceKind::Fallback
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        Ok(order(request).take(request.limit * 3).collect())
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        place(order(request), video, "it is not in the catalogue")
    }
}
