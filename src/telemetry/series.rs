//! What is looked at again and again: named readings, and how two of them become a row of figures.

use foryou_actors::histogram::Spread;

type Read<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Readings under a name. None of them may block.
enum Source {
    /// As it is.
    Level(Read<f64>),
    /// A count that grows: its growth in a second.
    Rate(Read<u64>),
    /// Two counts that grow: the growth of the first as a part of that of the second.
    Share(Read<u64>, Read<u64>),
    /// Durations: how many in a second, and their median and 99th percentile in milliseconds.
    Times(Read<Spread>),
}

/// Every reading, in the order of its figures.
#[derive(Default)]
pub struct Sources(Vec<(String, Source)>);

/// What the sources said at a moment.
pub struct Reading(Vec<Raw>);

enum Raw {
    Level(f64),
    Counts(u64, u64),
    Spread(Spread),
}

impl Sources {
    /// Adds something that goes up and down.
    pub fn level(&mut self, name: impl Into<String>, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.0.push((name.into(), Source::Level(Box::new(read))));
    }

    /// Adds a count.
    pub fn rate(&mut self, name: impl Into<String>, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.0.push((name.into(), Source::Rate(Box::new(read))));
    }

    /// Adds a count as a part of another.
    pub fn share(
        &mut self,
        name: impl Into<String>,
        part: impl Fn() -> u64 + Send + Sync + 'static,
        whole: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.0.push((name.into(), Source::Share(Box::new(part), Box::new(whole))));
    }

    /// Adds durations: the figures `NAME.rate`, `NAME.p50`, `NAME.p99`.
    pub fn times(&mut self, name: impl Into<String>, read: impl Fn() -> Spread + Send + Sync + 'static) {
        self.0.push((name.into(), Source::Times(Box::new(read))));
    }

    /// Names of all figures.
    pub fn names(&self) -> Vec<String> {
        let names = self.0.iter().map(|(name, source)| match source {
            Source::Times(_) => ["rate", "p50", "p99"].map(|figure| format!("{name}.{figure}")).into(),
            _ => vec![name.clone()],
        });
        names.flatten().collect()
    }

    /// Asks every source.
    pub fn read(&self) -> Reading {
        let raw = self.0.iter().map(|(_, source)| match source {
            Source::Level(read) => Raw::Level(read()),
            Source::Rate(read) => Raw::Counts(read(), 0),
            Source::Share(part, whole) => Raw::Counts(part(), whole()),
            Source::Times(read) => Raw::Spread(read()),
        });
        Reading(raw.collect())
    }

    /// The figures between two readings that are `seconds` apart; not a number where there is nothing to tell.
    pub fn row(&self, then: &Reading, now: &Reading, seconds: f64) -> Vec<f32> {
        let mut row = Vec::with_capacity(self.0.len() * 2);
        for ((_, source), (then, now)) in self.0.iter().zip(then.0.iter().zip(&now.0)) {
            match (source, then, now) {
                (Source::Level(_), _, Raw::Level(now)) => row.push(*now as f32),
                (Source::Rate(_), Raw::Counts(then, _), Raw::Counts(now, _)) => {
                    row.push((now.saturating_sub(*then) as f64 / seconds) as f32);
                }
                (Source::Share(..), Raw::Counts(part0, whole0), Raw::Counts(part, whole)) => {
                    let (part, whole) = (part.saturating_sub(*part0) as f64, whole.saturating_sub(*whole0) as f64);
                    row.push(if whole > 0.0 { (part / whole) as f32 } else { f32::NAN });
                }
                (Source::Times(_), Raw::Spread(then), Raw::Spread(now)) => {
                    let window = now.since(then);
                    let ms = |q| window.quantile(q).map_or(f32::NAN, |s| (s * 1e3) as f32);
                    row.extend([(window.count() as f64 / seconds) as f32, ms(0.5), ms(0.99)]);
                }
                _ => {}
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Histogram;

    #[test]
    fn figures_are_of_the_time_between_two_readings() {
        let (count, times) = (Arc::new(AtomicU64::new(5)), Histogram::default());
        let mut sources = Sources::default();
        sources.level("depth", || 7.0);
        let (a, b, c) = (count.clone(), count.clone(), times.clone());
        sources.rate("events", move || a.load(Relaxed));
        sources.share("part", move || b.load(Relaxed), || 100);
        sources.times("feed", move || c.spread());
        assert_eq!(sources.names(), ["depth", "events", "part", "feed.rate", "feed.p50", "feed.p99"]);
        let then = sources.read();
        count.store(25, Relaxed);
        times.observe(Duration::from_millis(2));
        let row = sources.row(&then, &sources.read(), 2.0);
        assert_eq!(row[..2], [7.0, 10.0]);
        assert!(row[2].is_nan() && row[3] == 0.5 && row[4] > 1.0 && row[5] <= 2.0, "{row:?}");
    }
}
