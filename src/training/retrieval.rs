//! Recall: which share of the videos that a person went on to watch long, never met before, a source would have found.

use std::collections::{BTreeMap, HashSet};

use foryou_actors::{catalogue::VideoIndex, sessions::state::Outcomes};
use foryou_trainer::metrics::recall_at;
use serde::Serialize;

use super::{log::Logged, world::World};
use crate::features::ItemVectors;

/// How deep sources are judged.
pub const DEPTH: usize = 300;

/// Recall of one source, mean over people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recall {
    /// In the first 100.
    pub recall_100: f64,
    /// In the first 300.
    pub recall_300: f64,
    /// People judged.
    pub people: usize,
}

/// The two towers' scores of all videos, `[priors.len()]`; a video without a vector comes last.
pub fn scores(user_vector: &[f32], vectors: &dyn ItemVectors, priors: &[f32]) -> Vec<f32> {
    let score = |(video, prior): (usize, &f32)| match vectors.vector(video as VideoIndex) {
        Some(vector) => prior + user_vector.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>(),
        None => f32::NEG_INFINITY,
    };
    priors.iter().enumerate().map(score).collect()
}

/// For each person the videos to be found: long-viewed in `events`, never before them until then. `world` is as of the
/// moment before the first of `events`.
pub fn targets(world: &World, events: &[Logged]) -> BTreeMap<u32, Vec<VideoIndex>> {
    let mut found: BTreeMap<u32, Vec<VideoIndex>> = BTreeMap::new();
    let mut met = HashSet::new();
    for event in events {
        let Some(entry) = world.catalogue().entry(event.video) else { continue };
        let long = Outcomes::of(event.kind, event.watch_ms, entry.duration_ms).any(Outcomes::LONG_VIEW);
        let unseen = || world.session(event.user).seen_at(event.video).is_none();
        if long && unseen() && met.insert((event.user, event.video)) {
            found.entry(event.user).or_default().push(event.video);
        }
    }
    found
}

/// Judges one or more sources over everybody in `targets`, on `threads` threads. `sources` gives a person's best unseen
/// videos, best first, one list per source.
pub fn recalls<const N: usize>(
    targets: &BTreeMap<u32, Vec<VideoIndex>>,
    threads: usize,
    sources: impl Fn(u32) -> anyhow::Result<[Vec<VideoIndex>; N]> + Sync,
) -> anyhow::Result<[Recall; N]> {
    let people: Vec<(&u32, &Vec<VideoIndex>)> = targets.iter().collect();
    let part = people.len().div_ceil(threads.max(1)).max(1);
    let of_part = |people: &[(&u32, &Vec<VideoIndex>)]| -> anyhow::Result<[[f64; 2]; N]> {
        let mut sums = [[0.0; 2]; N];
        for (user, wanted) in people {
            for (sum, list) in sums.iter_mut().zip(sources(**user)?) {
                sum[0] += recall_at(100, &list, wanted).unwrap_or(0.0);
                sum[1] += recall_at(300, &list, wanted).unwrap_or(0.0);
            }
        }
        Ok(sums)
    };
    let parts = std::thread::scope(|scope| {
        let running: Vec<_> = people.chunks(part).map(|part| scope.spawn(|| of_part(part))).collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, _>| {
            part.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a judging thread panicked")))
        };
        running.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let n = people.len().max(1) as f64;
    Ok(std::array::from_fn(|source| {
        let sum = |at: usize| parts.iter().map(|part: &[[f64; 2]; N]| part[source][at]).sum::<f64>() / n;
        Recall { recall_100: sum(0), recall_300: sum(1), people: people.len() }
    }))
}
