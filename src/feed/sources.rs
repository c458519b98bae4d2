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
}
