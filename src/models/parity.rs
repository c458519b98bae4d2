//! Inputs with their expected outputs, written by the trainer and recomputed by every loader: a release whose models say
//! something else on this machine than they said in training is refused.

use foryou_schemas::VideoId;
use serde::{Deserialize, Serialize};

use super::{ModelError, Predictions, Release};
use crate::features::towers::UserInputs;

/// How far a tower's output may be off, relative to the largest component.
const TOWER_TOLERANCE: f32 = 1e-4;
/// How far a probability may be off.
const PROBABILITY_TOLERANCE: f32 = 1e-5;
/// How far a watch time may be off, relative.
const WATCH_TOLERANCE: f32 = 1e-4;

/// `parity.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// The item tower on a few videos.
    pub items: Vec<ItemCase>,
    /// The user tower on a few people, one of them without any history.
    pub users: Vec<UserCase>,
    /// The ranker on a few rows.
    pub rows: Vec<RowCase>,
}

/// One video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemCase {
    /// For the reader.
    pub video: VideoId,
    /// `[I]`.
    pub ids: Vec<i64>,
    /// `[C]`.
    pub content: Vec<f32>,
    /// `[d + 1]`.
    pub vector: Vec<f32>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserCase {
    /// `[L, d + 1]`.
    pub items: Vec<f32>,
    /// `[L, A]`.
    pub actions: Vec<f32>,
    /// `[P]`.
    pub profile: Vec<f32>,
    /// `[d + 1]`.
    pub vector: Vec<f32>,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowCase {
    /// `[F]`; `null` is an unknown value.
    pub features: Vec<Option<f32>>,
    /// `[K]`.
    pub probabilities: Vec<f32>,
    /// Milliseconds, where the ranker predicts it.
    pub watch_ms: Option<f32>,
}

impl Parity {
    /// Recomputes everything.
    pub(super) fn verify(&self, release: &Release) -> Result<(), ModelError> {
        let refused = |reason: String| ModelError::refused(&release.manifest.id, reason);
        if self.items.is_empty() || self.users.is_empty() || self.rows.is_empty() {
            return Err(refused("parity.json lacks cases for one of the models; train again".into()));
        }
        for (n, case) in self.items.iter().enumerate() {
            let got = release.item_tower(&case.ids, &case.content)?;
            same(&got, &case.vector, TOWER_TOLERANCE).map_err(|e| refused(format!("item tower, case {n}: {e}")))?;
        }
        for (n, case) in self.users.iter().enumerate() {
            let inputs =
                UserInputs { items: case.items.clone(), actions: case.actions.clone(), profile: case.profile.clone() };
            let got = release.user_vector(&inputs)?;
            same(&got, &case.vector, TOWER_TOLERANCE).map_err(|e| refused(format!("user tower, case {n}: {e}")))?;
        }
        let features: Vec<f32> = self.rows.iter().flat_map(|c| &c.features).map(|x| x.unwrap_or(f32::NAN)).collect();
        for got in [release.rank(&features, self.rows.len())?, release.rank_by_onnx(&features, self.rows.len())?] {
            self.verify_rows(&got).map_err(refused)?;
        }
        Ok(())
    }

    fn verify_rows(&self, got: &Predictions) -> Result<(), String> {
        for (n, case) in self.rows.iter().enumerate() {
            let at = |e| format!("ranker, case {n}: {e}");
            absolutely(got.row(n), &case.probabilities).map_err(at)?;
            if let Some(expected) = case.watch_ms {
                same(&[got.watch_ms(n).unwrap_or(f32::NAN)], &[expected], WATCH_TOLERANCE).map_err(at)?;
            }
        }
        Ok(())
    }
}

fn same(got: &[f32], expected: &[f32], tolerance: f32) -> Result<(), String> {
    let scale = expected.iter().fold(1.0f32, |max, x| max.max(x.abs()));
    compare(got, expected, tolerance * scale)
}

fn absolutely(got: &[f32], expected: &[f32]) -> Result<(), String> {
    compare(got, expected, PROBABILITY_TOLERANCE)
}

fn compare(got: &[f32], expected: &[f32], allowed: f32) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!("gives {} values, {} were expected", got.len(), expected.len()));
    }
    let differs = |(a, b): (&f32, &f32)| (a - b).abs() > allowed || (a - b).is_nan();
    match got.iter().zip(expected).position(differs) {
        None => Ok(()),
        Some(i) => Err(format!(
            "value {i} is {}, in training it was {} (allowed difference {allowed:e}); another ONNX Runtime version, or a \
             damaged release",
            got[i], expected[i]
        )),
    }
}
