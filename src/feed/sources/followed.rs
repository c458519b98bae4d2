//! The latest videos of the creators whom the person follows.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// How many of one creator's videos are looked at.
const EACH: usize = 10;

/// Newest first, over all followed creators.
pub struct Followed;

#[async_trait]
impl Source for Followed {
    fn kind(&self) -> SourceKind {
        SourceKind::Followed
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let catalogue = &request.catalogue;
        let latest = |creator: &u32| catalogue.of_creator(*creator).iter().rev().copied().take(EACH);
        let mut videos: Vec<_> =
            request.session.followed.iter().flat_map(latest).filter(|&video| request.servable(video)).collect();
        videos.sort_by_key(|&video| std::cmp::Reverse(catalogue.entry(video).map(|e| e.published_at)));
        videos.truncate(request.settings.candidates.followed);
        Ok(videos)
    }
}
