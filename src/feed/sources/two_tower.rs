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
        let k = request.settings.candidates.two_tower.count().max(request.limit + request.limit / 2);
        // What is taken down leaves the index; a filter catches what was found just before.
        let hits = release.retrieve(user, k, |video| !request.seen(video)).map_err(|e| e.to_string())?;
        Ok(hits.into_iter().map(|hit| hit.item).collect())
    }

    fn score(&self, request: &Request, video: VideoIndex) -> Option<f32> {
        request.release.as_ref()?.score(request.user_vector.as_ref()?, video)
    }

    /// Among all servable videos, as an exact search would order them.
    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        let (Some(release), Some(user)) = (&request.release, &request.user_vector) else {
            return Err("there are no models");
        };
        let score = release.score(user, video).ok_or("it has no vector yet")?;
        let others = (0..request.catalogue.len() as VideoIndex).filter(|&other| request.servable(other));
        Ok(others.filter_map(|other| release.score(user, other)).filter(|other| *other > score).count())
    }
}
