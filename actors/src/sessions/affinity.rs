//! Decayed taste by some key (category, creator): how much was shown, enjoyed and refused.

use super::{outcomes::Outcomes, state::Applied};

/// Half-life of the sums: 7 days.
const HALF_LIFE_S: f64 = 7.0 * 86_400.0;
/// How many keys are kept; the weakest makes room.
pub const MAX_KEYS: usize = 24;

/// Taste for one key: decayed sums as of the table's latest event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Affinity {
    /// Dense number of the category or creator.
    pub key: u32,
    /// Exposures.
    pub shown: f32,
    /// Signs of enjoyment, weighted by [`weight`].
    pub enjoyed: f32,
    /// Dislikes, reports, blocks.
    pub refused: f32,
}

/// A small table of affinities with one reference time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Affinities {
    /// Seconds since 1970 to which the sums refer.
    pub at_s: f64,
    /// In no particular order.
    pub rows: Vec<Affinity>,
}

/// What a set of outcomes says about enjoyment: long view 1, like and comment 2, share and follow 3, rewatch 1.
pub fn weight(outcomes: Outcomes) -> f32 {
    const WEIGHTS: [(Outcomes, f32); 6] = [
        (Outcomes::LONG_VIEW, 1.0),
        (Outcomes::REWATCH, 1.0),
        (Outcomes::LIKE, 2.0),
        (Outcomes::COMMENT, 2.0),
        (Outcomes::SHARE, 3.0),
        (Outcomes::FOLLOW, 3.0),
    ];
    WEIGHTS.iter().filter(|(o, _)| outcomes.any(*o)).map(|(_, w)| w).sum()
}

impl Affinities {
    /// The row of `key` as of `now_s`; zero where nothing is known.
    pub fn at(&self, key: u32, now_s: f64) -> Affinity {
        let factor = decay(now_s - self.at_s);
        self.rows
            .iter()
            .find(|row| row.key == key)
            .map_or(Affinity { key, ..Affinity::default() }, |row| row.scaled(factor))
    }

    /// All rows as of `now_s`.
    pub fn all(&self, now_s: f64) -> impl Iterator<Item = Affinity> + '_ {
        let factor = decay(now_s - self.at_s);
        self.rows.iter().map(move |row| row.scaled(factor))
    }

    /// Adds what an event changed.
    pub fn learn(&mut self, key: u32, at_s: f64, applied: &Applied) {
        if at_s > self.at_s {
            let factor = decay(at_s - self.at_s);
            self.rows.iter_mut().for_each(|row| *row = row.scaled(factor));
            self.at_s = at_s;
        }
        let share = decay(self.at_s - at_s);
        let row = self.row(key);
        if applied.gained.any(Outcomes::OPENED) {
            row.shown += share;
        }
        row.enjoyed = (row.enjoyed + share * (weight(applied.gained) - weight(applied.lost))).max(0.0);
        row.refused += share * applied.gained.and(Outcomes::NEGATIVE).count() as f32;
    }

    fn row(&mut self, key: u32) -> &mut Affinity {
        let index = match self.rows.iter().position(|row| row.key == key) {
            Some(index) => index,
            None if self.rows.len() < MAX_KEYS => {
                if self.rows.len() == self.rows.capacity() {
                    self.rows.reserve_exact(8);
                }
                self.rows.push(Affinity { key, ..Affinity::default() });
                self.rows.len() - 1
            }
            None => {
                let strength = |row: &Affinity| row.shown + 4.0 * (row.enjoyed + row.refused);
                let weakest = (0..self.rows.len())
                    .min_by(|&a, &b| strength(&self.rows[a]).total_cmp(&strength(&self.rows[b])))
                    .unwrap_or(0);
                self.rows[weakest] = Affinity { key, ..Affinity::default() };
                weakest
            }
        };
        &mut self.rows[index]
    }
}

impl Affinity {
    fn scaled(self, factor: f32) -> Self {
        Self {
            shown: self.shown * factor,
            enjoyed: self.enjoyed * factor,
            refused: self.refused * factor,
            key: self.key,
        }
    }
}

fn decay(elapsed_s: f64) -> f32 {
    if elapsed_s <= 0.0 { 1.0 } else { (-elapsed_s / HALF_LIFE_S).exp2() as f32 }
}
