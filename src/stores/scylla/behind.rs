//! Tallies that are in the journal and not in their table yet: most of them change again within seconds, so they are written
//! behind, each with its latest value. Until then the journal has them; whoever reads tallies looks there as well.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{entry::Entry, journal::KEPT};

/// How long a tally may be behind.
const LAG: Duration = Duration::from_secs(2);
/// Batches that may be behind; the journal keeps one more, which is the one being written.
const BATCHES: i64 = KEPT - 1;
/// Tallies that may be behind.
const TALLIES: usize = 32_768;

/// A tally and the time of its row, by its key.
pub type Latest = HashMap<Vec<u8>, (i64, Vec<u8>)>;

/// What is behind.
#[derive(Default)]
pub struct Behind {
    latest: Latest,
    batches: i64,
    since: Option<Instant>,
}

impl Behind {
    /// Takes note of a batch that was committed, and leaves its tallies to be written.
    pub fn add(&mut self, entry: Entry) {
        self.batches += 1;
        if !entry.tallies.is_empty() {
            self.since.get_or_insert_with(Instant::now);
            merge(&mut self.latest, entry);
        }
    }

    /// When the tallies are to be written, if there are any.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| if self.is_full() { since } else { since + LAG })
    }

    /// Whether no other batch may come before the tallies are written.
    pub fn is_full(&self) -> bool {
        self.batches >= BATCHES || self.latest.len() >= TALLIES
    }

    /// What is to be written.
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// It is written.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The tallies of an entry on top of earlier ones.
pub fn merge(latest: &mut Latest, entry: Entry) {
    for row in entry.tallies {
        let known = latest.get(&row.key.0).is_some_and(|(at, _)| *at > entry.at);
        if !known {
            latest.insert(row.key.0, (entry.at, row.tally.0));
        }
    }
}
