//! A candidate with what its features read.

use foryou_actors::{
    catalogue::Entry,
    statistics::{Decayed, Rates, Sums},
};

use super::{
    person::Person,
    vector::{Direction, Mean},
};

pub(super) struct Candidate<'a> {
    pub entry: &'a Entry,
    pub duration_log: f32,
    pub rates: Rates,
    pub video: Decayed,
    /// Sums of the 14-day window.
    pub creator: Sums,
    pub category: Sums,
    pub surface_band: &'a Sums,
    /// Two-tower score without the recency prior.
    pub score: Option<f32>,
    pub direction: Option<Direction<'a>>,
}

/// Sums over the person's slow exposures, seen from one candidate.
#[derive(Default)]
pub(super) struct Crosses {
    /// Exposures of the same category: number, long views, weighted number, their surpluses and like surpluses.
    pub category: Cross,
    /// Exposures by the same creator.
    pub creator: Cross,
    /// All exposures, weighted by nearness in length.
    pub duration: Cross,
}

#[derive(Default)]
pub(super) struct Cross {
    pub shown: f32,
    pub long_views: f32,
    pub surplus: f32,
    pub like_surplus: f32,
    /// `Σ weight` and `Σ weight × surplus`.
    pub recent: (f32, f32),
}

impl Candidate<'_> {
    pub fn crosses(&self, person: &Person<'_>) -> Crosses {
        let mut crosses = Crosses::default();
        for e in &person.earlier {
            if e.category == self.entry.category {
                crosses.category.add(e, 1.0);
            }
            if e.creator == self.entry.creator {
                crosses.creator.add(e, 1.0);
            }
            let apart = (e.duration_log - self.duration_log).abs();
            // e^(−apart / 0.3): beyond 1.5 less than 1% is left.
            if apart < 1.5 {
                crosses.duration.add(e, (-apart / 0.3).exp());
            }
        }
        crosses
    }

    /// Mean cosine to some directions; NaN where there are none or the video has none.
    pub fn mean_cosine(&self, to: &Mean) -> f32 {
        self.direction.map_or(f32::NAN, |direction| to.cosine(&direction))
    }

    /// The largest cosine to one of some directions; NaN as above.
    pub fn largest_cosine(&self, to: &[Direction<'_>]) -> f32 {
        let cosines = self.direction.iter().flat_map(|direction| to.iter().map(|to| to.cosine(direction)));
        cosines.fold(f32::NAN, f32::max)
    }
}

impl Cross {
    fn add(&mut self, e: &super::person::Earlier, share: f32) {
        self.shown += share;
        self.long_views += share * e.long_view;
        self.surplus += share * e.surplus;
        self.like_surplus += share * e.like_surplus;
        self.recent.0 += share * e.weight;
        self.recent.1 += share * e.weight * e.surplus;
    }
}
