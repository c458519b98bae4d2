//! What can go wrong while training.

/// Why a training run gave no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// [`crate::Cancel::cancel`] was called.
    #[error("training was cancelled")]
    Cancelled,
    /// Two inputs do not fit together.
    #[error("{what}: expected {expected}, got {got}; the inputs of a training run must have matching shapes")]
    Shape {
        /// The input that does not fit.
        what: &'static str,
        /// The length or width it must have.
        expected: usize,
        /// The length or width it has.
        got: usize,
    },
    /// A row points at something that is not there.
    #[error("{what}: index {index} is outside 0..{limit}")]
    OutOfRange {
        /// What the index is of.
        what: &'static str,
        /// The offending value.
        index: i64,
        /// One past the largest allowed value.
        limit: usize,
    },
    /// A value that must be finite is NaN or infinite.
    #[error("{0} holds a value that is not finite; drop or repair the row before training")]
    NotFinite(&'static str),
    /// There is too little to learn from.
    #[error("{0}")]
    NotEnoughData(String),
    /// A setting makes no sense.
    #[error("setting {name}: {reason}")]
    Setting {
        /// The field of the configuration.
        name: &'static str,
        /// What is wrong with it and what is allowed.
        reason: String,
    },
    /// The loss stopped being finite.
    #[error("the loss became {loss} in step {step}; lower the learning rate or look for extreme inputs")]
    Diverged {
        /// Optimiser step.
        step: usize,
        /// The loss seen.
        loss: f32,
    },
}

/// Fails with [`TrainError::Shape`] unless both are equal.
pub(crate) fn check_len(what: &'static str, expected: usize, got: usize) -> Result<(), TrainError> {
    if expected == got { Ok(()) } else { Err(TrainError::Shape { what, expected, got }) }
}

/// Fails with [`TrainError::NotFinite`] on the first NaN or infinity.
pub(crate) fn check_finite(what: &'static str, values: &[f32]) -> Result<(), TrainError> {
    if values.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(TrainError::NotFinite(what)) }
}
