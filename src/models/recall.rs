//! How much of the true best an index finds: the same queries with the graph and by looking at everything.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use foryou_actors::catalogue::{Catalogue, VideoIndex};
use serde::Serialize;

use super::{ModelError, Serving};
use crate::features::ItemVectors as _;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Queries.
    pub queries: usize,
    /// Of these, vectors of people; the others are of videos.
    pub people: usize,
    /// How many neighbours were asked for.
    pub neighbours: usize,
    /// The part of the true ones that the index found, over all queries.
    pub recall: f64,
    /// The part for the query for which it was least.
    pub least: f64,
    /// A query of the index took so long on average, microseconds.
    pub index_us: f64,
    /// A look at everything took so long, microseconds.
    pub exact_us: f64,
}

/// Measures with the `vectors` of people; where they are fewer than `sample`, with vectors of videos besides. Seconds of CPU time
/// with a large catalogue: not for an async thread.
pub fn measure(
    serving: &Serving,
    catalogue: &Catalogue,
    mut vectors: Vec<Vec<f32>>,
    sample: usize,
    neighbours: usize,
) -> Result<Measured, ModelError> {
    let table = serving.vectors();
    let live = |video: &VideoIndex| catalogue.entry(*video).is_some_and(|entry| entry.live);
    let videos: Vec<VideoIndex> = (0..catalogue.len() as VideoIndex).filter(live).collect();
    let people = vectors.len();
    let step = (videos.len() / sample.saturating_sub(people).max(1)).max(1);
    let others = videos.iter().step_by(step).filter_map(|video| table.vector(*video)).map(<[f32]>::to_vec);
    vectors.extend(others.take(sample.saturating_sub(people)));
    let (mut recalls, mut index, mut exact) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    for query in &vectors {
        let began = Instant::now();
        let found: HashSet<VideoIndex> =
            serving.retrieve(query, neighbours, |_| true)?.into_iter().map(|hit| hit.item).collect();
        index += began.elapsed();
        let began = Instant::now();
        let score = |video: &VideoIndex| {
            let vector = table.vector(*video)?;
            Some((query.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>() + serving.prior(*video), *video))
        };
        let mut all: Vec<(f32, VideoIndex)> = videos.iter().filter_map(score).collect();
        let best = neighbours.min(all.len());
        if best < all.len() {
            all.select_nth_unstable_by(best, |a, b| b.0.total_cmp(&a.0));
        }
        exact += began.elapsed();
        if best > 0 {
            recalls.push(all[..best].iter().filter(|(_, video)| found.contains(video)).count() as f64 / best as f64);
        }
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / vectors.len().max(1) as f64;
    Ok(Measured {
        queries: vectors.len(),
        people,
        neighbours,
        recall: recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
        least: recalls.iter().copied().fold(f64::INFINITY, f64::min).min(1.0),
        index_us: each(index),
        exact_us: each(exact),
    })
}
