//! The latest videos of the creators whom the person follows.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind, place};
use crate::feed::request::Request;

/// How many of one creator's videos are looked at.
const EACH: usize = 10;

/// Newest first, over all followed creators.
pub struct Followed;

fn order(request: &Request) -> Vec<VideoIndex> {
    let catalogue = &request.catalogue;
    let latest = |creator: &u32| catalogue.of_creator(*creator).iter().rev().copied().take(EACH);
    let mut videos: Vec<_> =
        request.session.followed.iter().flat_map(latest).filter(|&video| request.servable(video)).collect();
    videos.sort_by_key(|&video| std::cmp::Reverse(catalogue.entry(video).map(|e| e.published_at)));
    videos
}

#[async_trait]
impl Source for Followed {
    fn kind(&self) -> SourceKind {
        SourceKind::Followed
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let mut videos = order(request);
        videos.truncate(request.settings.candidates.followed.count());
        Ok(videos)
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        let follows = request.catalogue.entry(video).is_some_and(|e| request.session.followed.contains(&e.creator));
        let absent = match follows {
            true => "it is not among the latest of its creator, whom the person follows",
            false => "the person does not follow its creator",
        };
        place(order(request).into_iter(), video, absent)
    }
}
