//! What the two-tower model retrieves for this person.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// Searches the release's index by the person's vector; the recency prior is part of each item's score.
pub struct TwoTower;

#[async_trait]
impl Source for TwoTower {
    fn kind(&self) -> SourceKind {
        SourceKind::TwoTower
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let release = request.release.as_ref().ok_or("no release")?;
        let user = request.user_vector.as_ref().ok_or("no user vector")?;
        let k = request.settings.candidates.two_tower.max(request.limit + request.limit / 2);
        let hits = release.retrieve(user, k, |video| request.servable(video)).map_err(|e| e.to_string())?;
        Ok(hits.into_iter().map(|hit| hit.item).collect())
    }
}
