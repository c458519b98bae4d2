//! `foryou replay`: a log in time order through the real engine, each exposure predicted before its outcome is applied.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use foryou_actors::ports::store::FeatureStore;
use foryou_schemas::{Event, Timestamp, UserId, VideoId};
use serde::Serialize;

use super::{
    evaluate::{Predicted, judge_ranking, predict},
    log::Log,
    progress::Progress,
    ranking::RankingMetrics,
    rows::{HEADS, Retriever, Rows},
    rows_file, table,
    world::World,
};
use crate::{
    import::{ImportError, jsonl, kuairand::log as kuairand, report},
    models::{Releases, Serving},
};

/// What is replayed, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// KuaiRand's columns as Parquet or CSV, or JSON lines of events, told apart by extension.
    pub files: Vec<PathBuf>,
    /// How long an event is held back before sessions and statistics learn of it.
    pub delay: Duration,
    /// Where the predictions go, as Parquet.
    pub predictions: Option<PathBuf>,
    /// The release; the active one, if `None`.
    pub release: Option<String>,
    /// Threads.
    pub threads: usize,
}

/// The object that `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The release that predicted.
    pub release: String,
    /// Exposures predicted.
    pub rows: usize,
    /// Those that the release was not trained on, because they lie behind its end of training.
    pub judged: usize,
    /// Events replayed.
    pub events: usize,
    /// Lines that were refused, and events of videos that the catalogue does not know.
    pub skipped: u64,
    /// By outcome, over the judged ones.
    pub metrics: BTreeMap<&'static str, RankingMetrics>,
    /// How long it took.
    pub seconds: f64,
}

/// Replays `settings.files` on top of what the store knows from before their first event.
pub async fn run(store: &dyn FeatureStore, data: &Path, settings: Settings) -> anyhow::Result<Report> {
    let began = Instant::now();
    let releases = Releases::new(data);
    let id = releases.named_or_active(settings.release.as_deref())?;
    let files = settings.files.clone();
    let (mut events, skipped) = tokio::task::spawn_blocking(move || read(&files)).await??;
    events.sort_by_key(|event| event.at);
    let Some(first) = events.first().map(|event| event.at) else { bail!("the files hold no event") };
    let mut log = Log::read(store, Some(first)).await.context("the log could not be read")?;
    let past = log.events.len();
    let unknown = log.unknown;
    for (n, event) in events.iter().enumerate() {
        log.push(event, None, u64::MAX / 2 + n as u64);
    }
    let skipped = skipped + (log.unknown - unknown) as u64;
    tokio::task::spawn_blocking(move || replay(&log, past, skipped, &releases, &id, &settings, began)).await?
}

fn replay(
    log: &Log,
    past: usize,
    skipped: u64,
    releases: &Releases,
    id: &str,
    settings: &Settings,
    began: Instant,
) -> anyhow::Result<Report> {
    let mut progress = Progress::default();
    progress.stage("replaying what is stored", past);
    // Two worlds: what happened decides where an exposure begins and how it ends, what is known already makes features.
    let (mut true_world, mut known) = (World::new(log), World::new(log));
    for event in &log.events[..past] {
        true_world.apply(event);
        known.apply(event);
        progress.advance(1);
    }
    let serving = Serving::load(&releases.path(id)?, settings.threads, known.live(), known.now_s)?;
    let vectors = serving.vectors();
    let user_vector = |session: &_, catalogue: &_, now_s| Ok(serving.user_vector(session, catalogue, now_s)?);
    let retriever = Retriever { vectors: &**vectors, user_vector: &user_vector };
    let delay_ms = settings.delay.as_millis() as i64;
    let events = &log.events[past..];
    progress.stage("replaying the files", events.len());
    let (mut rows, mut held) = (Rows::default(), VecDeque::new());
    for event in events {
        while let Some(due) = held.front().filter(|held: &&&super::Logged| held.at_ms + delay_ms <= event.at_ms) {
            known.apply(due);
            held.pop_front();
        }
        if true_world.opens(event) {
            rows.add(event, &known.moment(event.user), retriever)?;
        }
        if let Some(applied) = true_world.apply(event) {
            rows.learn(event, &applied);
        }
        held.push_back(event);
        progress.advance(1);
    }
    let predicted = predict(&serving, &rows)?;
    if let Some(path) = &settings.predictions {
        write(path, log, &rows, &predicted, id)?;
    }
    progress.end();
    let until_ms = serving.release.manifest.trained_until.millis();
    let judged_from = rows.at_ms.partition_point(|at_ms| *at_ms < until_ms);
    Ok(Report {
        release: id.to_owned(),
        rows: rows.len(),
        judged: rows.len() - judged_from,
        events: events.len(),
        skipped,
        metrics: judge_ranking(&rows, &predicted, judged_from),
        seconds: (began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
    })
}

fn write(path: &Path, log: &Log, rows: &Rows, predicted: &Predicted, release: &str) -> anyhow::Result<()> {
    let mut columns = rows_file::keys(log, rows);
    for (name, _) in HEADS {
        columns.extend(predicted.head(name).map(|p| (format!("p_{name}"), table::Values::Float(p))));
    }
    if predicted.watch_ms.len() == rows.len() {
        columns.push(("expected_watch_ms".to_owned(), table::Values::Float(predicted.watch_ms.clone())));
    }
    for (name, outcome) in HEADS {
        let labels = rows.outcome(outcome).into_iter().map(|l| l as i32).collect();
        columns.push((name.to_owned(), table::Values::Integer(labels)));
    }
    columns.push(("watch_ms".to_owned(), table::Values::Float(rows.watch_ms())));
    table::write(path, &columns, &[("release", release.to_owned())])
}

/// All events of the files, in their order and under their own ids, and how many lines were refused.
pub fn read(files: &[PathBuf]) -> anyhow::Result<(Vec<Event>, u64)> {
    let report = report::Report::new();
    let mut events = Vec::new();
    for file in files {
        match file.extension().and_then(|e| e.to_str()) {
            Some("parquet" | "csv") => read_kuairand(file, &report, &mut events)?,
            Some("jsonl" | "ndjson" | "json") => read_jsonl(file, &report, &mut events)?,
            _ => bail!("{}: give .parquet or .csv with KuaiRand's columns, or .jsonl of events", file.display()),
        }
    }
    report.end();
    Ok((events, report.skipped()))
}

fn read_kuairand(file: &Path, report: &report::Report, events: &mut Vec<Event>) -> Result<(), ImportError> {
    let mut distinct = kuairand::Distinct::default();
    kuairand::read(file, report, |place, row| {
        if distinct.insert(&row) {
            for (kind, watch_ms) in row.events() {
                match event(&row, kind, watch_ms) {
                    Ok(event) => events.push(event),
                    Err(reason) => report.skip(place, reason),
                }
            }
        }
        Ok(())
    })
}

fn event(row: &kuairand::LogRow, kind: foryou_schemas::Kind, watch_ms: Option<u32>) -> Result<Event, String> {
    Ok(Event {
        id: row.event_id(kind)?,
        user: UserId::new(row.user.to_string())?,
        video: VideoId::new(row.video.to_string())?,
        kind,
        watch_ms,
        at: Timestamp::from_millis(row.at_ms).ok_or("time_ms is beyond the calendar")?,
        feed: None,
        position: None,
        surface: Some(row.tab.to_string().into()),
    })
}

fn read_jsonl(file: &Path, report: &report::Report, events: &mut Vec<Event>) -> anyhow::Result<()> {
    let number = report.file(file);
    let reader = BufReader::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?);
    let now = Timestamp::now();
    for (line, text) in (1..).zip(reader.split(b'\n')) {
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        if text.trim_ascii().is_empty() {
            continue;
        }
        match jsonl::parse(&text, now) {
            Ok(jsonl::Line::Event(event)) => events.push(event),
            Ok(_) => {}
            Err(invalid) => report.skip(report::Place { file: number, line }, invalid),
        }
    }
    Ok(())
}
