//! What is popular in the categories that the person enjoys right now.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind};
use crate::feed::request::Request;

/// How many categories are followed up, the most enjoyed first.
const CATEGORIES: usize = 3;

/// The lists of the categories with the best mood, turn about.
pub struct Category;

#[async_trait]
impl Source for Category {
    fn kind(&self) -> SourceKind {
        SourceKind::Category
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        let enjoyed = request.mood.best(CATEGORIES);
        let lists: Vec<_> = enjoyed.filter_map(|category| request.trends.categories.get(&category)).collect();
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|i| lists.iter().filter_map(move |list| list.get(i)));
        let unseen = turns.map(|(video, _)| *video).filter(|&video| request.servable(video));
        Ok(unseen.take(request.settings.candidates.category.count()).collect())
    }
}
