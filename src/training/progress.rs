//! Progress of training on standard error: a bar on a terminal, plain lines elsewhere.

use std::collections::HashMap;

use foryou_trainer::{Progress as Step, Stage};

use crate::import::report::Report;

/// Shows one stage at a time.
#[derive(Default)]
pub struct Progress {
    report: Report,
    /// What each part of the current stage has done; heads of the ranker train side by side.
    parts: HashMap<String, usize>,
    shown: usize,
}

impl Progress {
    /// Begins a stage of `total` steps (0: unknown).
    pub fn stage(&mut self, what: &str, total: usize) {
        self.parts.clear();
        self.shown = 0;
        self.report.step(what, total as u64);
    }

    /// One more step of the stage is done.
    pub fn advance(&mut self, steps: usize) {
        self.report.advance(steps as u64);
    }

    /// Takes a report of the trainer.
    pub fn trainer(&mut self, step: Step) {
        let part = match step.stage {
            Stage::RankerHead(name) => name,
            stage => format!("{stage:?}"),
        };
        self.parts.insert(part, step.done);
        let done = self.parts.values().sum::<usize>();
        self.report.advance(done.saturating_sub(self.shown) as u64);
        self.shown = self.shown.max(done);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.report.end();
    }
}
