//! The stages of a feed and what each took.

use std::time::{Duration, Instant};

/// A stage, in the order of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stage {
    Session,
    User,
    Sources,
    Filters,
    Features,
    Rank,
    Select,
    Answer,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 8] = [
        Self::Session,
        Self::User,
        Self::Sources,
        Self::Filters,
        Self::Features,
        Self::Rank,
        Self::Select,
        Self::Answer,
    ];

    /// Its name in metrics and benchmarks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Sources => "sources",
            Self::Filters => "filters",
            Self::Features => "features",
            Self::Rank => "rank",
            Self::Select => "select",
            Self::Answer => "answer",
        }
    }
}

/// A stopwatch with a lap per stage.
#[derive(Debug, Clone, Copy)]
pub struct StageTimes {
    laps: [Duration; Stage::ALL.len()],
    start: Instant,
    since: Instant,
}

impl StageTimes {
    /// Starts the first lap.
    pub fn start() -> Self {
        let now = Instant::now();
        Self { laps: Default::default(), start: now, since: now }
    }

    /// Ends a stage; the next begins.
    pub fn end(&mut self, stage: Stage) {
        let now = Instant::now();
        self.laps[stage as usize] += now - self.since;
        self.since = now;
    }

    /// How long the watch has run.
    pub fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    /// When each stage began, and what it took; those that took no time are left out.
    pub fn placed(&self) -> impl Iterator<Item = (Stage, Instant, Duration)> + '_ {
        let laps = self.laps().scan(self.start, |at, (stage, took)| {
            let began = std::mem::replace(at, *at + took);
            Some((stage, began, took))
        });
        laps.filter(|(_, _, took)| !took.is_zero())
    }

    /// What each stage took.
    pub fn laps(&self) -> impl Iterator<Item = (Stage, Duration)> + '_ {
        Stage::ALL.into_iter().zip(self.laps)
    }
}
