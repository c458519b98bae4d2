//! Training of all heads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::error::check_len;
use crate::{Cancel, Matrix, Progress, Stage, TrainError};

use super::bins::Binned;
use super::boost::{HeadModel, boost};
use super::{Head, Objective, Ranker, RankerConfig};

/// Trains one model per head over the same feature matrix `[N, F]`.
///
/// `names` has `F` entries. Features may be NaN (missing) but not infinite. At most one head is a watch-time head.
/// `progress` is called every ten trees of a head, from this thread; heads that train at the same time alternate.
pub fn train(
    features: &Matrix,
    names: &[String],
    heads: &[Head],
    config: &RankerConfig,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ranker, TrainError> {
    check(features, names, heads, config)?;
    let validation = config.validation.clone().unwrap_or(0..0);
    let learn: Vec<u32> = (0..features.rows()).filter(|r| !validation.contains(r)).map(|r| r as u32).collect();
    cancel.check()?;
    let binned = Binned::new(features, &learn, config.max_bins);

    let next = AtomicUsize::new(0);
    let (events, inbox) = mpsc::channel();
    let mut models: Vec<Option<HeadModel>> = vec![None; heads.len()];
    let mut failure = None;
    std::thread::scope(|scope| {
        for _ in 0..config.threads.clamp(1, heads.len()) {
            let (events, next, binned) = (events.clone(), &next, &binned);
            scope.spawn(move || {
                while let Some((i, head)) = take(next, heads) {
                    let report = |done: usize, loss: f32| {
                        // The receiver outlives every sender, so there is nobody to tell about a failure.
                        let _ = events.send(Event::Trees { head: i, done, loss });
                    };
                    let seed = config.seed.wrapping_add(1 + i as u64);
                    let result = boost(features, binned, head, config, seed, cancel, &report);
                    let failed = result.is_err();
                    let _ = events.send(Event::Done { head: i, result });
                    if failed {
                        next.store(heads.len(), Ordering::Relaxed);
                    }
                }
            });
        }
        drop(events);
        for event in inbox {
            match event {
                Event::Trees { head, done, loss } => {
                    let (stage, total) = (Stage::RankerHead(heads[head].config.name.clone()), heads[head].config.trees);
                    progress(Progress { stage, done, total, loss });
                }
                Event::Done { head, result: Ok(model) } => models[head] = Some(model),
                Event::Done { result: Err(error), .. } => failure = failure.take().or(Some(error)),
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(Ranker::new(names.to_vec(), models.into_iter().flatten().collect())),
    }
}

/// What a training thread says.
enum Event {
    Trees { head: usize, done: usize, loss: f32 },
    Done { head: usize, result: Result<HeadModel, TrainError> },
}

fn take<'a>(next: &AtomicUsize, heads: &'a [Head]) -> Option<(usize, &'a Head)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    heads.get(i).map(|head| (i, head))
}

fn check(features: &Matrix, names: &[String], heads: &[Head], config: &RankerConfig) -> Result<(), TrainError> {
    let bad = |name, reason: String| Err(TrainError::Setting { name, reason });
    check_len("feature names", features.cols(), names.len())?;
    if features.rows() == 0 || features.cols() == 0 || heads.is_empty() {
        return Err(TrainError::NotEnoughData("a ranker needs at least one row, one feature and one head".into()));
    }
    if features.data().iter().any(|x| x.is_infinite()) {
        return Err(TrainError::NotFinite("ranker features"));
    }
    if !(2..=255).contains(&config.max_bins) {
        return bad("max_bins", "2 to 255".into());
    }
    if config.validation.as_ref().is_some_and(|v| v.start > v.end || v.end > features.rows()) {
        return bad("validation", format!("a range of rows inside 0..{}", features.rows()));
    }
    if heads.iter().filter(|h| h.config.objective == Objective::WatchTime).count() > 1 {
        return bad("heads", "at most one watch-time head".into());
    }
    if heads.iter().map(|h| &h.config.name).collect::<HashSet<_>>().len() < heads.len() {
        return bad("heads", "every head needs a name of its own".into());
    }
    for head in heads {
        let c = &head.config;
        check_len("labels of a head", features.rows(), head.labels.len())?;
        if let Some(weights) = &head.weights {
            check_len("weights of a head", features.rows(), weights.len())?;
            if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) {
                return bad("weights", format!("head {}: finite and not below 0", c.name));
            }
        }
        if !c.monotone.is_empty() {
            check_len("monotone constraints", features.cols(), c.monotone.len())?;
        }
        let allowed = match c.objective {
            Objective::Probability => 0.0..=1.0,
            Objective::WatchTime => 0.0..=f32::MAX,
        };
        if !head.labels.iter().all(|y| y.is_nan() || allowed.contains(y)) {
            return bad("labels", format!("head {}: NaN or inside {allowed:?}", c.name));
        }
        let positive = c.learning_rate > 0.0 && c.feature_fraction > 0.0 && c.row_fraction > 0.0 && c.l2 >= 0.0;
        if !positive || c.leaves < 2 || c.trees == 0 {
            let reason = "rate and fractions above 0, l2 not below 0, at least 2 leaves and 1 tree";
            return bad("head", format!("{}: {reason}", c.name));
        }
    }
    Ok(())
}
