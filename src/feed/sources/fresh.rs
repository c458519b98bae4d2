//! New videos that need a first audience.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;
use rand::{SeedableRng, rngs::SmallRng, seq::index};

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// A random sample of the young videos that few people have met, so that each gets its chance.
pub struct Fresh;

#[async_trait]
impl Source for Fresh {
    fn kind(&self) -> SourceKind {
        SourceKind::Fresh
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let mut rng = SmallRng::seed_from_u64(request.seed);
        let fresh = &request.trends.fresh;
        let drawn = index::sample(&mut rng, fresh.len(), fresh.len()).into_iter().map(|n| fresh[n]);
        let servable = drawn.filter(|&video| request.servable(video));
        Ok(servable.take(request.settings.candidates.fresh.count()).collect())
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        Err(match request.trends.fresh.contains(&video) {
            true => "it needs a first audience, and was not drawn for this feed",
            false => "it is not new, or has had its first audience",
        })
    }
}
