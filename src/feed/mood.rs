//! The mood of the moment: which categories the last few actions speak for, and which against.
//!
//! The ranker's long-view head leaves the last day and a half out of its personal features (see
//! [`crate::features::SLOW_BEFORE_S`]); what a person did a second ago enters the order here.

use foryou_actors::{
    catalogue::Catalogue,
    sessions::{
        affinity::weight,
        state::{Outcomes, SessionState},
    },
};

/// How many actions make the mood.
const ACTIONS: usize = 30;
/// How much less each earlier action counts.
const PER_ACTION: f32 = 0.92;
/// Actions older than this, in seconds, are no mood any more: 6 hours.
const FORGOTTEN_AFTER_S: f64 = 6.0 * 3_600.0;
/// What a skip counts against its category, where a long view counts 1 for it.
const SKIP: f32 = -0.5;
/// The sum at which the mood is three quarters of the way to its bound.
const SCALE: f32 = 4.0;

/// A value in (-1, 1) for each category that the last actions touched.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Mood(Vec<(u32, f32)>);

impl Mood {
    /// Reads it off the latest actions as of `now_s` (seconds since 1970).
    pub fn of(session: &SessionState, catalogue: &Catalogue, now_s: f64) -> Self {
        let mut sums: Vec<(u32, f32)> = Vec::new();
        let mut share = 1.0;
        let latest = session.actions.iter().rev().take(ACTIONS);
        for action in latest.take_while(|a| now_s - f64::from(a.at_s) <= FORGOTTEN_AFTER_S) {
            let skipped = action.outcomes.any(Outcomes::SKIP) && !action.outcomes.any(Outcomes::ENJOYED);
            let says = share * (weight(action.outcomes) + if skipped { SKIP } else { 0.0 });
            share *= PER_ACTION;
            let Some(category) = catalogue.entry(action.video).map(|entry| entry.category) else { continue };
            match sums.iter_mut().find(|(known, _)| *known == category) {
                Some((_, sum)) => *sum += says,
                None => sums.push((category, says)),
            }
        }
        sums.iter_mut().for_each(|(_, sum)| *sum = (*sum / SCALE).tanh());
        sums.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self(sums)
    }

    /// The mood for a category, 0 where nothing speaks for or against it.
    pub fn at(&self, category: u32) -> f32 {
        self.0.iter().find(|(known, _)| *known == category).map_or(0.0, |(_, mood)| *mood)
    }

    /// Each category that the last actions touched, with its mood, best first.
    pub fn each(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.0.iter().copied()
    }

    /// The categories that most speaks for, best first, at most `n`.
    pub fn best(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter(|(_, mood)| *mood > 0.0).map(|(category, _)| *category).take(n)
    }
}
