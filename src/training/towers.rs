//! The two towers over a world: which videos and people they learn from, and what they say afterwards.

use anyhow::Context;
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    sessions::state::SessionState,
    statistics::{Count, Entity},
};
use foryou_schemas::VideoId;
use foryou_trainer::{
    Cancel, Matrix, Progress,
    two_tower::{self, Histories, History, ItemTable, TowerSchema, TwoTower, TwoTowerConfig},
};

use super::world::World;
use crate::{
    features::{ItemVectors, towers},
    models::{TrainedItems, VectorTable},
};

/// A trained two-tower model and the vectors it gives the whole catalogue.
pub struct Towers {
    /// The model.
    pub model: TwoTower,
    /// The videos it was trained on, in the order of their own-id buckets.
    pub trained: Vec<VideoIndex>,
    /// `[N]` exposures of each in training.
    pub overall: Vec<f32>,
    /// A vector for every video of the catalogue, trained on or not.
    pub vectors: VectorTable,
}

impl Towers {
    /// Trains on everything that happened in `world` so far.
    pub fn train(
        world: &World,
        people: usize,
        config: &TwoTowerConfig,
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<Self> {
        let catalogue = world.catalogue();
        let (trained, overall) = trained_videos(world);
        let schema = towers::schema(trained.len());
        let items = item_table(
            &schema,
            catalogue,
            trained.iter().copied().enumerate().map(|(n, v)| (v, towers::own_bucket(n))),
        )?;
        let mut position = vec![None; catalogue.len()];
        trained.iter().enumerate().for_each(|(n, video)| position[*video as usize] = Some(n as u32));
        let histories = histories(world, people, &schema, &position)?;
        let model = two_tower::train(&schema, &items, &histories, config, cancel, progress)
            .context("the two-tower model could not be trained")?;
        let vectors = vectors_of_all(&model, &schema, catalogue, &position)?;
        Ok(Self { model, trained, overall, vectors })
    }

    /// A person's vector as of `now_s`.
    pub fn user_vector(&self, session: &SessionState, catalogue: &Catalogue, now_s: f64) -> anyhow::Result<Vec<f32>> {
        let duration_ms = |video| catalogue.entry(video).map_or(0, |e| e.duration_ms);
        let inputs = towers::user(session, &self.vectors, &duration_ms, now_s);
        let history = History { items: &inputs.items, actions: &inputs.actions, profile: &inputs.profile };
        Ok(self.model.user_vector(history)?)
    }

    /// Exposures in training by dense number, 0 for videos that were not trained on.
    pub fn overall_by_number(&self, videos: usize) -> Vec<f32> {
        let mut counts = vec![0.0; videos];
        self.trained.iter().zip(&self.overall).for_each(|(video, count)| counts[*video as usize] = *count);
        counts
    }

    /// The trained videos as a release keeps them.
    pub fn items(&self, catalogue: &Catalogue) -> anyhow::Result<TrainedItems> {
        let mut items = TrainedItems {
            ids: Vec::with_capacity(self.trained.len()),
            overall: self.overall.clone(),
            vectors: Vec::new(),
            vector_len: self.model.vector_len(),
        };
        for &video in &self.trained {
            let id: &VideoId = catalogue.id(video).context("a trained video has no id")?;
            items.ids.push(id.clone());
            items.vectors.extend_from_slice(self.vectors.vector(video).context("a trained video has no vector")?);
        }
        Ok(items)
    }
}

/// Videos that were ever before somebody, with how often. Others have no own vector to learn: their content speaks for them.
fn trained_videos(world: &World) -> (Vec<VideoIndex>, Vec<f32>) {
    let statistics = world.live().statistics.read();
    let count = |video| statistics.tally(Entity::Video(video)).total(Count::Impressions);
    let videos = 0..world.catalogue().len() as VideoIndex;
    videos.map(|video| (video, count(video) as f32)).filter(|(_, n)| *n > 0.0).unzip()
}

fn item_table(
    schema: &TowerSchema,
    catalogue: &Catalogue,
    videos: impl Iterator<Item = (VideoIndex, i64)>,
) -> anyhow::Result<ItemTable> {
    let (mut ids, mut content, mut rows) = (Vec::new(), Vec::new(), 0);
    for (video, bucket) in videos {
        let video = catalogue.video(video).context("a video is missing in the catalogue")?;
        towers::item(video, bucket, &mut ids, &mut content);
        rows += 1;
    }
    Ok(ItemTable::new(schema, ids, Matrix::from_vec(rows, schema.content.len(), content)?)?)
}

/// Everybody's latest exposures, as of the world's latest event.
fn histories(
    world: &World,
    people: usize,
    schema: &TowerSchema,
    position: &[Option<u32>],
) -> anyhow::Result<Histories> {
    let mut histories = Histories::new(schema);
    let (mut items, mut actions) = (Vec::new(), Vec::new());
    for user in 0..people as u32 {
        items.clear();
        actions.clear();
        let latest_s = world.exposures(user).last().map_or(0.0, |action| f64::from(action.at_s));
        for action in world.exposures(user) {
            let Some(Some(item)) = position.get(action.video as usize) else { continue };
            let duration_ms = world.catalogue().entry(action.video).map_or(0, |e| e.duration_ms);
            items.push(*item);
            towers::action_columns(action, duration_ms, latest_s, &mut actions);
        }
        if !items.is_empty() {
            histories.push(&items, &actions, &towers::profile(world.session(user)))?;
        }
    }
    Ok(histories)
}

fn vectors_of_all(
    model: &TwoTower,
    schema: &TowerSchema,
    catalogue: &Catalogue,
    position: &[Option<u32>],
) -> anyhow::Result<VectorTable> {
    let bucket = |video: usize| position[video].map_or(0, |n| towers::own_bucket(n as usize));
    let all = (0..catalogue.len()).map(|video| (video as VideoIndex, bucket(video)));
    let vectors = model.item_vectors(&item_table(schema, catalogue, all)?)?;
    let mut table = VectorTable::new(model.vector_len());
    (0..catalogue.len()).for_each(|video| table.set(video as VideoIndex, vectors.row(video)));
    Ok(table)
}
