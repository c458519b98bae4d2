//! The training loop.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::error::check_len;
use crate::{Cancel, Matrix, Progress, Stage, TrainError};

use super::active::{Active, ItemChooser};
use super::adamw::Step;
use super::examples::{Example, draw};
use super::item_tower::{ItemBatch, ItemTower, draw_own_ids};
use super::random::generator;
use super::shard::{Person, Shard};
use super::standardise::Standardiser;
use super::user_batch::Event;
use super::user_tower::{Sizes, UserTower};
use super::{Histories, ItemTable, TowerSchema, TwoTower, TwoTowerConfig};

/// Streams of random numbers that belong to no epoch.
const INIT_STREAM: u64 = u64::MAX;

/// Trains a two-tower model.
///
/// `histories` hold *all* impressions, not only the liked ones: what was shown and skipped still says what a person meets,
/// and the actions say the rest. `progress` is called about once per second.
pub fn train(
    schema: &TowerSchema,
    items: &ItemTable,
    histories: &Histories,
    config: &TwoTowerConfig,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<TwoTower, TrainError> {
    schema.check()?;
    config.check()?;
    check_len("action columns", schema.actions.len(), histories.actions().cols())?;
    check_len("profile columns", schema.profile.len(), histories.profiles().cols())?;
    items.check(schema)?;
    if let Some(&item) = histories.items().iter().find(|&&i| i as usize >= items.len()) {
        return Err(TrainError::OutOfRange { what: "item of an event", index: i64::from(item), limit: items.len() });
    }
    let mut people: Vec<usize> = (0..histories.len()).filter(|&u| !histories.range(u).is_empty()).collect();
    if people.is_empty() || items.len() < 2 {
        return Err(TrainError::NotEnoughData("a two-tower model needs at least 2 items and 1 event".into()));
    }

    let mut run = Run::new(schema, items, histories, config);
    let steps_per_epoch = people.len().div_ceil(config.batch);
    let total = steps_per_epoch * config.epochs;
    let mut report = Report::new(total);
    for epoch in 0..config.epochs {
        people.shuffle(&mut generator(config.seed, [epoch as u64, INIT_STREAM]));
        for (i, batch) in people.chunks(config.batch).enumerate() {
            cancel.check()?;
            let done = epoch * steps_per_epoch + i + 1;
            let examples: Vec<Example> = batch
                .iter()
                .filter_map(|&u| draw(histories, u, config, &mut generator(config.seed, [epoch as u64, u as u64])))
                .collect();
            let rate = config.learning_rate * cosine(done, total);
            let loss = run.step(&examples, Step::new(done, rate, config.weight_decay), done as u64);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step: done, loss });
            }
            report.add(done, loss, progress);
        }
    }
    Ok(run.finish(schema))
}

/// The cosine schedule's factor for step `done` of `total`.
fn cosine(done: usize, total: usize) -> f32 {
    0.5 * (1.0 + (std::f32::consts::PI * (done - 1) as f32 / total as f32).cos())
}

/// The state of a run.
struct Run<'a> {
    items: &'a ItemTable,
    histories: &'a Histories,
    config: &'a TwoTowerConfig,
    item_tower: ItemTower,
    user_tower: UserTower,
    chooser: ItemChooser,
    content: Matrix,
    actions: (Standardiser, Matrix),
    profiles: (Standardiser, Matrix),
    shards: Vec<Shard>,
    vectors: Vec<f32>,
}

impl<'a> Run<'a> {
    fn new(schema: &TowerSchema, items: &'a ItemTable, histories: &'a Histories, config: &'a TwoTowerConfig) -> Self {
        let mut rng = generator(config.seed, [INIT_STREAM, 0]);
        let sizes = Sizes {
            dim: config.dim,
            actions: schema.actions.len(),
            profile: schema.profile.len(),
            pools: config.pools,
            hidden: config.hidden,
        };
        let item_tower = ItemTower::new(schema, config.dim, items, &mut rng);
        let user_tower = UserTower::new(sizes, &mut rng);
        let standardise = |data: &Matrix| {
            let standardiser = Standardiser::fit(data);
            let data = standardiser.apply_all(data);
            (standardiser, data)
        };
        Self {
            items,
            histories,
            config,
            chooser: ItemChooser::new(items.len(), histories, config.softmax),
            content: item_tower.content.apply_all(items.content()),
            actions: standardise(histories.actions()),
            profiles: standardise(histories.profiles()),
            shards: (0..config.threads).map(|_| Shard::new(&user_tower)).collect(),
            vectors: Vec::new(),
            item_tower,
            user_tower,
        }
    }

    /// One optimiser step; returns the mean loss per target.
    fn step(&mut self, examples: &[Example], step: Step, number: u64) -> f32 {
        let (config, seed) = (self.config, self.config.seed);
        let mut rng = generator(seed, [INIT_STREAM, number]);
        let active = self.chooser.choose(examples, self.histories, &mut rng);
        let own_id = draw_own_ids(active.items.len(), config.id_dropout, &mut rng);
        let batch = ItemBatch { items: &active.items, own_id: &own_id, ids: self.items.ids(), content: &self.content };
        batch.forward(&self.item_tower, config.threads, &mut self.vectors);

        let mut shards = std::mem::take(&mut self.shards);
        let people: Vec<Person<'_>> = examples.iter().map(|e| self.person(e, &active)).collect();
        let targets: usize = people.iter().map(|p| p.targets.len()).sum();
        let weight = 1.0 / targets.max(1) as f32;
        let part = people.len().div_ceil(config.threads).max(1);
        let (tower, vectors, candidates) = (&self.user_tower, &self.vectors, &active.candidates);
        let used = people.len().div_ceil(part);
        std::thread::scope(|scope| {
            for (i, (shard, people)) in shards.iter_mut().zip(people.chunks(part)).enumerate() {
                let keep = keep_units(config.dropout, generator(seed, [number, INIT_STREAM - 1 - i as u64]));
                scope.spawn(move || shard.run(tower, vectors, candidates, people, weight, keep));
            }
        });
        drop(people);

        let loss: f64 = shards[..used].iter().map(|s| s.loss).sum();
        if let Some((sum, others)) = shards[..used].split_first_mut() {
            for other in &*others {
                sum.vectors_grad.iter_mut().zip(&other.vectors_grad).for_each(|(a, b)| *a += b);
                self.user_tower.add_grads(&other.grads);
            }
            self.user_tower.add_grads(&sum.grads);
            self.item_tower.backward(&batch, &sum.vectors_grad, config.threads);
        }
        self.user_tower.step(step);
        self.item_tower.step(step, config.threads);
        self.shards = shards;
        loss as f32
    }

    fn person(&self, example: &Example, active: &Active) -> Person<'_> {
        let event =
            |&e: &usize| Event { vector: active.index(self.histories.items()[e]), actions: self.actions.1.row(e) };
        Person {
            input: (example.visible.iter().map(event).collect(), self.profiles.1.row(example.user)),
            targets: example.targets.iter().map(|&t| active.index(t)).collect(),
        }
    }

    fn finish(self, schema: &TowerSchema) -> TwoTower {
        TwoTower {
            schema: schema.clone(),
            history: self.config.history,
            items: self.item_tower,
            users: self.user_tower,
            actions: self.actions.0,
            profile: self.profiles.0,
        }
    }
}

/// Inverted dropout: 0 with probability `dropout`, else `1 / (1 - dropout)`.
fn keep_units(dropout: f32, mut rng: SmallRng) -> impl FnMut() -> f32 {
    let scale = 1.0 / (1.0 - dropout);
    move || if dropout > 0.0 && rng.random::<f32>() < dropout { 0.0 } else { scale }
}

/// Averages losses and reports about once per second.
struct Report {
    total: usize,
    sum: f32,
    steps: usize,
    last: Instant,
}

impl Report {
    fn new(total: usize) -> Self {
        Self { total, sum: 0.0, steps: 0, last: Instant::now() }
    }

    fn add(&mut self, done: usize, loss: f32, progress: &mut dyn FnMut(Progress)) {
        self.sum += loss;
        self.steps += 1;
        if done == self.total || self.last.elapsed() >= Duration::from_secs(1) {
            let loss = self.sum / self.steps as f32;
            progress(Progress { stage: Stage::TwoTower, done, total: self.total, loss });
            (self.sum, self.steps, self.last) = (0.0, 0, Instant::now());
        }
    }
}
