//! The catalogue in memory: every video under a dense number, with what feeds and features need at hand.

use std::sync::Arc;

use foryou_schemas::{Country, CreatorId, Status, Timestamp, Video, VideoId};

use crate::{chunked::Chunked, dictionary::Dictionary};

/// A video's dense number. Stable while the process lives; the store and the outside know only [`VideoId`].
pub type VideoIndex = u32;

/// What the hot path reads of a video (48 bytes).
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Dense number of the creator.
    pub creator: u32,
    /// Dense number of the category.
    pub category: u32,
    /// Length.
    pub duration_ms: u32,
    /// The youngest age that may see it, years.
    pub age_rating: u8,
    /// Whether it may be shown.
    pub live: bool,
    /// When it appeared.
    pub published_at: Timestamp,
    /// Where it comes from.
    pub country: Option<Country>,
}

/// All videos, as of one moment. Clone to keep a consistent view; cloning is cheap.
#[derive(Clone, Default)]
pub struct Catalogue {
    ids: Dictionary<VideoId>,
    entries: Chunked<Entry>,
    videos: Chunked<Arc<Video>>,
    creators: Dictionary<CreatorId>,
    categories: Dictionary<Box<str>>,
    /// Videos by creator and by category, oldest number first.
    by_creator: Chunked<Arc<Vec<VideoIndex>>>,
    by_category: Chunked<Arc<Vec<VideoIndex>>>,
}

impl Catalogue {
    /// The number of a video that this snapshot knows.
    #[inline]
    pub fn find(&self, id: &VideoId) -> Option<VideoIndex> {
        self.ids.find(id).filter(|&video| (video as usize) < self.entries.len())
    }

    /// [`Catalogue::find`] for an id that is at hand as text.
    pub fn find_str(&self, id: &str) -> Option<VideoIndex> {
        self.ids.find(id).filter(|&video| (video as usize) < self.entries.len())
    }

    /// The public id behind a number.
    #[inline]
    pub fn id(&self, video: VideoIndex) -> Option<&VideoId> {
        self.ids.name(video)
    }

    /// What the hot path needs of a video.
    #[inline]
    pub fn entry(&self, video: VideoIndex) -> Option<&Entry> {
        self.entries.get(video as usize)
    }

    /// The whole video, as published.
    pub fn video(&self, video: VideoIndex) -> Option<&Arc<Video>> {
        self.videos.get(video as usize)
    }

    /// How many videos there are, removed ones included; numbers run from 0 to this.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Creators by number.
    pub fn creators(&self) -> &Dictionary<CreatorId> {
        &self.creators
    }

    /// Categories by number.
    pub fn categories(&self) -> &Dictionary<Box<str>> {
        &self.categories
    }

    /// A creator's videos, removed ones included, in the order of their first publication here.
    pub fn of_creator(&self, creator: u32) -> &[VideoIndex] {
        self.by_creator.get(creator as usize).map_or(&[], |list| list)
    }

    /// A category's videos, removed ones included, in the order of their first publication here.
    pub fn of_category(&self, category: u32) -> &[VideoIndex] {
        self.by_category.get(category as usize).map_or(&[], |list| list)
    }

    /// Adds or replaces a video; `now` stands in for a publication time that was not given (an earlier one is kept).
    /// Returns its number and whether it is new.
    pub fn put(&mut self, id: &VideoId, mut video: Video, now: Timestamp) -> (VideoIndex, bool) {
        let known = self.find(id);
        let before = known.and_then(|n| self.entry(n)).copied();
        let published_at = video.published_at.or(before.map(|e| e.published_at)).unwrap_or(now);
        video.published_at = Some(published_at);
        let entry = Entry {
            creator: self.creators.intern(&video.creator),
            category: self.categories.intern(&video.category),
            duration_ms: video.duration_ms,
            age_rating: video.age_rating,
            live: video.status == Status::Live,
            published_at,
            country: video.country,
        };
        let video = Arc::new(video);
        let number = match known {
            Some(number) => {
                if let (Some(e), Some(v)) =
                    (self.entries.get_mut(number as usize), self.videos.get_mut(number as usize))
                {
                    (*e, *v) = (entry, video);
                }
                number
            }
            None => {
                // Readers look an id up before they look at entries, so the entry must be there first.
                let number = self.entries.push(entry) as u32;
                self.videos.push(video);
                self.ids.intern(id);
                number
            }
        };
        file(&mut self.by_creator, before.map(|e| e.creator), entry.creator, number);
        file(&mut self.by_category, before.map(|e| e.category), entry.category, number);
        (number, known.is_none())
    }

    /// The videos that are new or were changed since an earlier state of this catalogue, ascending.
    pub fn changed_since(&self, before: &Self) -> impl Iterator<Item = VideoIndex> {
        let same = |n: usize| match (self.videos.get(n), before.videos.get(n)) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            _ => false,
        };
        self.videos.touched_since(&before.videos).filter(move |n| !same(*n)).map(|n| n as VideoIndex)
    }

    /// Marks a video as removed. Returns whether it was live.
    pub fn remove(&mut self, video: VideoIndex) -> bool {
        let was = self.entries.get_mut(video as usize).is_some_and(|e| std::mem::replace(&mut e.live, false));
        if let Some(v) = self.videos.get_mut(video as usize) {
            Arc::make_mut(v).status = Status::Removed;
        }
        was
    }
}

/// Moves `video` from one group's list to another's.
fn file(lists: &mut Chunked<Arc<Vec<VideoIndex>>>, from: Option<u32>, to: u32, video: VideoIndex) {
    if from == Some(to) {
        return;
    }
    if let Some(list) = from.and_then(|group| lists.get_mut(group as usize)) {
        Arc::make_mut(list).retain(|&v| v != video);
    }
    while lists.len() <= to as usize {
        lists.push(Arc::default());
    }
    if let Some(list) = lists.get_mut(to as usize) {
        Arc::make_mut(list).push(video);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(creator: &str, category: &str) -> Video {
        let json = format!(r#"{{"creator": "{creator}", "category": "{category}", "duration_ms": 1000}}"#);
        Video::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_video_is_filed_once_under_creator_and_category() {
        let (mut c, id, now) = (Catalogue::default(), VideoId::new("v").unwrap(), Timestamp::now());
        assert_eq!(c.put(&id, video("a", "x"), now), (0, true));
        let before = c.clone();
        assert_eq!(c.put(&id, video("b", "x"), now.plus_millis(5)), (0, false));
        assert_eq!((c.of_creator(0), c.of_creator(1), c.of_category(0)), (&[][..], &[0][..], &[0][..]));
        assert_eq!(before.of_creator(0), &[0]);
        assert_eq!(c.entry(0).unwrap().published_at, now);
        assert!(c.remove(0) && !c.remove(0) && before.entry(0).unwrap().live);
        assert!(c.changed_since(&before).eq([0]) && c.changed_since(&c.clone()).next().is_none());
    }
}
