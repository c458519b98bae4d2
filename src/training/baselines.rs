//! What the two towers have to beat, and the blend that beats them: dense scores over the catalogue.

use foryou_actors::statistics::{Count, Entity};
use foryou_trainer::{
    Cancel, Progress,
    baselines::{Interactions, ItemKnn, ItemKnnConfig, top_k},
    two_tower::prior::recent_count,
};

use super::{retrieval::DEPTH, world::World};

/// The weight of item-kNN beside the two towers' 1, both as z-scores, and the power that tames its long tail first.
///
/// On the bundled data the blend ties with the two towers alone: .526/.759 against .528/.758. With a weight of .25 and no power
/// it is .509/.751, with recent popularity at .1 .493/.746.
const KNN: (f32, f32) = (0.25, 0.3);
/// The window that counts as recent: a half-life of 2 days.
const WINDOW: usize = 1;

/// Sources that are no model of a release.
pub struct Baselines {
    knn: ItemKnn,
    popular: Vec<f32>,
    /// What can be shown at all.
    live: Vec<bool>,
}

impl Baselines {
    /// Learns from everything that happened in `world` so far.
    pub fn fit(world: &World, people: usize, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Self> {
        let catalogue = world.catalogue();
        let seen = |user| world.exposures(user).iter().map(|a| a.video).collect();
        let interactions = Interactions::new(catalogue.len(), (0..people as u32).map(seen).collect())?;
        let knn = ItemKnn::fit(&interactions, &ItemKnnConfig::default(), &Cancel::new(), progress)?;
        let statistics = world.live().statistics.read();
        let popular = (0..catalogue.len() as u32).map(|video| {
            let window = statistics.tally(Entity::Video(video)).at(world.now_s)[WINDOW];
            recent_count(window[Count::Impressions as usize], window[Count::LongViews as usize])
        });
        let live = (0..catalogue.len() as u32).map(|v| catalogue.entry(v).is_some_and(|e| e.live));
        Ok(Self { knn, popular: popular.collect(), live: live.collect() })
    }

    /// A person's best unseen videos by recent popularity, item-kNN, and the blend of both with `towers` (the two towers'
    /// scores of the whole catalogue).
    pub fn lists(&self, world: &World, user: u32, towers: &[f32]) -> [Vec<u32>; 3] {
        let history: Vec<u32> = world.exposures(user).iter().map(|a| a.video).collect();
        let knn = self.knn.scores(&history);
        let tamed: Vec<f32> = knn.iter().map(|score| score.powf(KNN.1)).collect();
        let (z_towers, z_knn) = (Standard::of(towers), Standard::of(&tamed));
        let blend = (0..towers.len()).map(|v| z_towers.apply(towers[v]) + KNN.0 * z_knn.apply(tamed[v]));
        let session = world.session(user);
        let mut hidden: Vec<u32> = session.all_seen().map(|(video, _)| video).collect();
        hidden.extend((0..towers.len() as u32).filter(|v| !self.live[*v as usize]));
        hidden.sort_unstable();
        let best = |scores: &[f32]| top_k(scores, &hidden, DEPTH);
        [best(&self.popular), best(&knn), best(&blend.collect::<Vec<_>>())]
    }
}

/// Mean and deviation of a list of scores.
struct Standard {
    mean: f32,
    scale: f32,
}

impl Standard {
    fn of(scores: &[f32]) -> Self {
        let n = scores.len().max(1) as f32;
        let mean = scores.iter().sum::<f32>() / n;
        let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f32>() / n;
        Self { mean, scale: if variance > 0.0 { variance.sqrt().recip() } else { 0.0 } }
    }

    fn apply(&self, score: f32) -> f32 {
        (score - self.mean) * self.scale
    }
}
