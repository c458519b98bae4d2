//! What is popular in the categories that the person enjoys right now.

use async_trait::async_trait;
use foryou_actors::catalogue::VideoIndex;

use super::{Source, SourceKind, listed, place, turns};
use crate::feed::request::Request;

/// How many categories are followed up, the most enjoyed first.
const CATEGORIES: usize = 3;

/// The lists of the categories with the best mood, turn about.
pub struct Category;

type List<'a> = &'a [(VideoIndex, f32)];

fn lists(request: &Request) -> Vec<List<'_>> {
    let enjoyed = request.mood.best(CATEGORIES);
    enjoyed.filter_map(|category| request.trends.categories.get(&category)).map(Vec::as_slice).collect()
}

fn order<'a>(request: &'a Request, lists: &'a [List<'a>]) -> impl Iterator<Item = VideoIndex> {
    turns(lists).map(|(video, _)| *video).filter(|&video| request.servable(video))
}

#[async_trait]
impl Source for Category {
    fn kind(&self) -> SourceKind {
        SourceKind::Category
    }

    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        Ok(order(request, &lists(request)).take(request.settings.candidates.category.count()).collect())
    }

    fn score(&self, request: &Request, video: VideoIndex) -> Option<f32> {
        listed(&lists(request), video)
    }

    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        let absent = "it is not among the popular ones of a category that the last actions speak for";
        place(order(request, &lists(request)), video, absent)
    }
}
