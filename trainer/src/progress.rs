//! Progress out, cancellation in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::TrainError;

/// What a training run is busy with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Optimiser steps of the two-tower model.
    TwoTower,
    /// Trees of the ranker head with this name.
    RankerHead(String),
    /// Item-to-item similarities of [`crate::baselines::ItemKnn`].
    ItemKnn,
}

/// One progress report.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What is being worked on.
    pub stage: Stage,
    /// Steps, trees or items done.
    pub done: usize,
    /// Out of how many.
    pub total: usize,
    /// Training loss (natural log units) averaged over the last report's stretch; NaN where the stage has none.
    pub loss: f32,
}

/// A flag that stops a training run from another thread. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every run that holds a clone to stop; it returns [`TrainError::Cancelled`] within a step or a tree.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Err` once cancelled, for use with `?`.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        if self.is_cancelled() { Err(TrainError::Cancelled) } else { Ok(()) }
    }
}
