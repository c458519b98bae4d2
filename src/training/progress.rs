//! Progress of training on standard error: a bar on a terminal, plain lines elsewhere.

use std::collections::HashMap;

use foryou_trainer::{Progress as Step, Stage};

use super::runs::Recorder;
use crate::import::report::Report;

/// Shows one stage at a time.
#[derive(Default)]
pub struct Progress {
    report: Report,
    /// What each part of the current stage has done; heads of the ranker train side by side.
    parts: HashMap<String, usize>,
    shown: usize,
    total: usize,
    /// Who else is told.
    recorder: Option<Recorder>,
}

impl Progress {
    /// Tells a recorder, too.
    pub fn told(recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..Self::default() }
    }

    fn tell(&self, stage: Option<&str>) {
        if let Some(recorder) = &self.recorder {
            recorder.tell(stage, self.shown, self.total);
        }
    }

    /// Begins a stage of `total` steps (0: unknown).
    pub fn stage(&mut self, what: &str, total: usize) {
        self.parts.clear();
        (self.shown, self.total) = (0, total);
        self.tell(Some(what));
        self.report.step(what, total as u64);
    }

    /// One more step of the stage is done.
    pub fn advance(&mut self, steps: usize) {
        self.report.advance(steps as u64);
        self.shown += steps;
        self.tell(None);
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
        self.tell(None);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.report.end();
    }
}
