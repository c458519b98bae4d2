//! `foryou evaluate`: the live release, and what it has to beat, on what came after it was cut. Trains nothing of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use foryou_actors::ports::store::FeatureStore;
use foryou_schemas::Timestamp;
use serde::Serialize;

use super::{
    baselines::Baselines,
    catboost,
    log::Log,
    progress::Progress,
    ranking::RankingMetrics,
    retrieval::{self, DEPTH, Recall},
    rows::{HEADS, Retriever, Rows},
    rows_file,
    world::World,
};
use crate::models::{Releases, Serving};

/// Rows that go to the ranker together.
const BATCH: usize = 1_024;

/// What is judged, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The release; the active one, if `None`.
    pub release: Option<String>,
    /// Judge events before this instant only.
    pub until: Option<Timestamp>,
    /// At most this many people are judged in retrieval: those who come first by number.
    pub max_people: usize,
    /// Where to write the judged rows, if they are wanted.
    pub rows: Option<PathBuf>,
    /// The ranker's training rows (`foryou train --rows`): with `rows`, CatBoost is trained on them and judged on these.
    pub catboost: Option<PathBuf>,
    /// Threads.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self { release: None, until: None, max_people: 50_000, rows: None, catboost: None, threads }
    }
}

/// The object that `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The release that was judged.
    pub release: String,
    /// Its end of training: where judging begins.
    pub from: Timestamp,
    /// Where judging ends; `None`: with the log.
    pub until: Option<Timestamp>,
    /// Recall of long-viewed videos that the person had never met, by source.
    pub retrieval: BTreeMap<&'static str, Recall>,
    /// Metrics of live predictions by outcome, each made before its outcome was known.
    pub ranking: BTreeMap<&'static str, RankingMetrics>,
    /// CatBoost on the same rows, by outcome; or why it is missing.
    pub catboost: serde_json::Value,
    /// How long it took.
    pub seconds: f64,
}

/// Judges the live release of `data`.
pub async fn run(store: &dyn FeatureStore, data: &Path, settings: Settings) -> anyhow::Result<Report> {
    let began = Instant::now();
    let releases = Releases::new(data);
    let id = releases.named_or_active(settings.release.as_deref())?;
    let log = Log::read(store, settings.until).await.context("the log could not be read")?;
    tokio::task::spawn_blocking(move || evaluate(&log, &releases, &id, &settings, began)).await?
}

fn evaluate(log: &Log, releases: &Releases, id: &str, settings: &Settings, began: Instant) -> anyhow::Result<Report> {
    let mut progress = Progress::default();
    let from = releases.manifest(id)?.trained_until;
    let (past, judged): (Vec<_>, Vec<_>) = log.events.iter().partition(|e| e.at_ms < from.millis());
    if judged.is_empty() {
        bail!("nothing happened since the release was cut ({from}); train with an earlier --until to judge")
    }
    progress.stage("replaying the log", past.len());
    let mut world = World::new(log);
    for event in &past {
        world.apply(event);
        progress.advance(1);
    }
    let serving = Serving::load(&releases.path(id)?, settings.threads, world.live(), world.now_s)?;

    let retrieval = judge_retrieval(&world, log, &judged, &serving, settings, &mut progress)?;

    let vectors = serving.vectors();
    let user_vector = |session: &_, catalogue: &_, now_s| Ok(serving.user_vector(session, catalogue, now_s)?);
    let retriever = Retriever { vectors: &**vectors, user_vector: &user_vector };
    progress.stage("judging the ranker", judged.len());
    let told = judged.iter().any(|e| e.in_context);
    let mut rows = Rows::default();
    for event in &judged {
        if (event.in_context || !told) && world.opens(event) {
            rows.add(event, &world.moment(event.user), retriever)?;
        }
        if let Some(applied) = world.apply(event) {
            rows.learn(event, &applied);
        }
        progress.advance(1);
    }
    let predictions = predict(&serving, &rows)?;
    let ranking = judge_ranking(&rows, &predictions, 0);
    let catboost = match (&settings.rows, &settings.catboost) {
        (Some(judge), train) => {
            rows_file::write(judge, log, &rows, &[("release", id.to_owned())])?;
            train.as_ref().map_or(serde_json::Value::Null, |train| catboost::run(train, judge))
        }
        (None, Some(_)) => bail!("CatBoost is judged on a file of rows: give one to write with --rows"),
        (None, None) => serde_json::Value::Null,
    };
    progress.end();
    Ok(Report {
        release: id.to_owned(),
        from,
        until: settings.until,
        retrieval,
        ranking,
        catboost,
        seconds: (began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
    })
}

fn judge_retrieval(
    world: &World,
    log: &Log,
    judged: &[super::Logged],
    serving: &Serving,
    settings: &Settings,
    progress: &mut Progress,
) -> anyhow::Result<BTreeMap<&'static str, Recall>> {
    let mut targets = retrieval::targets(world, judged);
    if let Some(after) = targets.keys().nth(settings.max_people).copied() {
        targets.split_off(&after);
    }
    let catalogue = world.catalogue();
    progress.stage("item-kNN", catalogue.len());
    let baselines = Baselines::fit(world, log.users.len(), &mut |p| progress.trainer(p))?;
    let vectors = serving.vectors();
    let priors: Vec<f32> = (0..catalogue.len() as u32).map(|video| serving.prior(video)).collect();
    progress.stage("judging retrieval", 0);
    let recalls = retrieval::recalls(&targets, settings.threads, |user| {
        let session = world.session(user);
        let vector = serving.user_vector(session, catalogue, world.now_s)?;
        let hits = serving.retrieve(&vector, DEPTH, |video| session.seen_at(video).is_none())?;
        let towers = hits.into_iter().map(|hit| hit.item).collect();
        let dense = retrieval::scores(&vector, &**vectors, &priors);
        let [popularity, knn, blend] = baselines.lists(world, user, &dense);
        Ok([towers, blend, popularity, knn])
    })?;
    Ok(["two_tower", "blend", "popularity", "item_knn"].into_iter().zip(recalls).collect())
}

/// The release's probabilities, `[N, K]`, and watch times.
pub(super) fn predict(serving: &Serving, rows: &Rows) -> anyhow::Result<Predicted> {
    let release = &serving.release;
    let mut predicted = Predicted { heads: release.manifest.heads.clone(), ..Predicted::default() };
    let columns = release.manifest.feature_count;
    for batch in rows.features.chunks(BATCH * columns) {
        let some = release.rank(batch, batch.len() / columns)?;
        predicted.probabilities.extend(some.probabilities);
        predicted.watch_ms.extend(some.watch);
    }
    Ok(predicted)
}

/// What a release said about rows.
#[derive(Default)]
pub(super) struct Predicted {
    pub heads: Vec<String>,
    pub probabilities: Vec<f32>,
    pub watch_ms: Vec<f32>,
}

impl Predicted {
    /// One outcome's probabilities, if the release has such a head.
    pub fn head(&self, name: &str) -> Option<Vec<f32>> {
        let n = self.heads.iter().position(|head| head == name)?;
        Some(self.probabilities.iter().skip(n).step_by(self.heads.len()).copied().collect())
    }
}

/// Metrics of every head over the rows from number `from` on.
pub(super) fn judge_ranking(rows: &Rows, predicted: &Predicted, from: usize) -> BTreeMap<&'static str, RankingMetrics> {
    let judge = |(name, outcome)| {
        let (labels, scores) = (rows.outcome(outcome), predicted.head(name)?);
        Some((name, RankingMetrics::of(&rows.users[from..], &scores[from..], &labels[from..])))
    };
    HEADS.into_iter().filter_map(judge).collect()
}
