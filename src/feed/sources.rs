//! Where candidates come from: one source a file.

mod category;
mod fallback;
mod followed;
mod fresh;
mod similar;
mod trending;
mod two_tower;

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

pub use category::Category;
pub use fallback::Fallback;
pub use followed::Followed;
pub use fresh::Fresh;
pub use similar::Similar;
pub use trending::Trending;
pub use two_tower::TwoTower;

use super::request::Request;

/// Which source; in the order of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "one per file of this folder")]
pub enum SourceKind {
    TwoTower,
    Similar,
    Followed,
    Category,
    Trending,
    Fresh,
    Fallback,
}

impl SourceKind {
    /// Every source.
    pub const ALL: [Self; 7] =
        [Self::TwoTower, Self::Similar, Self::Followed, Self::Category, Self::Trending, Self::Fresh, Self::Fallback];

    /// Its name in answers, metrics and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoTower => "two_tower",
            Self::Similar => "similar",
            Self::Followed => "followed",
            Self::Category => "category",
            Self::Trending => "trending",
            Self::Fresh => "fresh",
            Self::Fallback => "fallback",
        }
    }
}

/// Finds candidates. Sources run concurrently, each under its own time budget; one that waits for something outside does not
/// hold up the others.
#[async_trait]
pub trait Source: Send + Sync {
    /// Which it is.
    fn kind(&self) -> SourceKind;

    /// Candidates, best first. An error degrades the feed and is said in the answer.
    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String>;

    /// What the source orders by, of any video, whether it brought it or not; `None` where that is no number, or not known.
    fn score(&self, _request: &Request, _video: VideoIndex) -> Option<f32> {
        None
    }

    /// Where a servable video stands in the source's whole order, of which `find` brings the beginning, from 0; else why it does not
    /// stand there. May look at the whole catalogue: not for an async thread.
    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str>;
}

/// Takes turns: the first of each list, then the second of each.
fn turns<'a, T>(lists: &'a [&'a [T]]) -> impl Iterator<Item = &'a T> {
    let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    (0..longest).flat_map(move |i| lists.iter().filter_map(move |list| list.get(i)))
}

/// The score of a video in the first list that has it.
fn listed(lists: &[&[(VideoIndex, f32)]], video: VideoIndex) -> Option<f32> {
    lists.iter().flat_map(|list| list.iter()).find(|(listed, _)| *listed == video).map(|(_, score)| *score)
}

/// The place of a video in an order, or why it has none.
fn place(
    mut order: impl Iterator<Item = VideoIndex>,
    video: VideoIndex,
    absent: &'static str,
) -> Result<usize, &'static str> {
    order.position(|other| other == video).ok_or(absent)
}
