//! Stands in for `src/feed` until it is there: videos in catalogue order, so that the HTTP side can be run and tested.

use std::{collections::HashSet, sync::Arc, time::Duration};

use foryou_actors::{catalogue::VideoIndex, live::Live, sessions::Sessions};
use foryou_schemas::{Country, EventId, Feed, FeedItem, UserId};

use crate::{clock::Ids, window::Window};

/// What is asked of [`Feeds::feed`].
pub struct FeedRequest {
    /// Whose feed.
    pub user: UserId,
    /// How many videos, 1–100.
    pub limit: usize,
    /// Wait until this event is applied, for so long.
    pub after: Option<(EventId, Duration)>,
    /// Whether each item tells its story.
    pub explain: bool,
    /// Where in the app the feed is shown.
    pub surface: Option<Box<str>>,
    /// Where the person is now.
    pub country: Option<Country>,
}

/// Makes feeds.
pub struct Feeds {
    pub(super) live: Arc<Live>,
    pub(super) sessions: Sessions,
    pub(super) ids: Ids,
}

impl Feeds {
    /// A feed.
    pub async fn feed(&self, request: FeedRequest) -> Feed {
        let mut degraded = Vec::new();
        let session = match &request.after {
            Some((event, wait)) => {
                self.sessions.view_after(&request.user, event, *wait).await.map(|(state, applied)| {
                    if !applied {
                        degraded.push(format!("after: not applied in {} ms", wait.as_millis()));
                    }
                    state
                })
            }
            None => self.sessions.view(&request.user).await,
        };
        let seen: HashSet<VideoIndex> = match &session {
            Ok(state) => state.all_seen().map(|(video, _)| video).collect(),
            Err(error) => {
                degraded.push(format!("session: {error}"));
                HashSet::new()
            }
        };
        let catalogue = self.live.catalogue();
        let fresh = (0..catalogue.len() as u32).filter(|video| !seen.contains(video));
        let items = fresh.filter_map(|video| {
            let (id, whole) = (catalogue.id(video)?, catalogue.video(video)?);
            catalogue.entry(video).filter(|entry| entry.live)?;
            Some(FeedItem {
                video: id.clone(),
                position: 0,
                score: 0.0,
                source: "catalogue",
                explore: false,
                propensity: 1.0,
                creator: whole.creator.clone(),
                category: whole.category.clone(),
                duration_ms: whole.duration_ms,
                title: whole.title.clone(),
                explain: None,
            })
        });
        let mut items: Vec<FeedItem> = items.take(request.limit).collect();
        items.iter_mut().zip(0..).for_each(|(item, position)| item.position = position);
        Feed { feed: self.ids.feed(), user: request.user, release: "none".into(), took_ms: 0.0, degraded, items }
    }

    /// Videos near another.
    pub fn similar(&self, video: VideoIndex, limit: usize) -> Vec<(VideoIndex, f32)> {
        let count = self.live.catalogue().len() as u32;
        (0..count).filter(|v| *v != video).take(limit).map(|video| (video, 0.0)).collect()
    }

    /// Videos that are liked now.
    pub fn trending(
        &self,
        limit: usize,
        _country: Option<Country>,
        category: Option<&str>,
        _window: Option<Window>,
    ) -> Vec<(VideoIndex, f32)> {
        let catalogue = self.live.catalogue();
        let filed = |video: &u32| category.is_none_or(|c| catalogue.video(*video).is_some_and(|v| *v.category == *c));
        (0..catalogue.len() as u32).filter(filed).take(limit).map(|video| (video, 0.0)).collect()
    }
}
