//! The figures of the last hours, in memory of a fixed size: every second of ten minutes, every ten seconds of six hours.

use std::collections::VecDeque;

use parking_lot::RwLock;
use serde::Serialize;

/// How far apart the rows of a ring are, and how many it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Seconds between two rows.
    pub step_s: u64,
    /// Rows that are kept.
    pub rows: usize,
}

/// Each second of the last ten minutes.
pub const FINE: Span = Span { step_s: 1, rows: 600 };
/// Each ten seconds of the last six hours.
pub const COARSE: Span = Span { step_s: 10, rows: 2_160 };

/// Rows of figures with the time of each.
pub struct History {
    names: Vec<String>,
    fine: RwLock<Ring>,
    coarse: RwLock<Ring>,
}

struct Ring {
    span: Span,
    rows: VecDeque<(i64, Box<[f32]>)>,
}

/// Some figures over time.
#[derive(Debug, Serialize)]
pub struct Excerpt {
    /// Seconds between two rows.
    pub step_s: u64,
    /// Milliseconds since 1970 of each row, oldest first.
    pub t: Vec<i64>,
    /// For each figure that was asked for, and is known, its values; `null` where there is none.
    pub series: Vec<Series>,
}

/// One figure over time.
#[derive(Debug, Serialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// A value for each row.
    pub values: Vec<Option<f32>>,
}

impl History {
    /// Of figures with these names.
    pub fn new(names: Vec<String>) -> Self {
        let ring = |span: Span| RwLock::new(Ring { span, rows: VecDeque::with_capacity(span.rows) });
        Self { names, fine: ring(FINE), coarse: ring(COARSE) }
    }

    /// The names, in the order of a row.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds a row to one of the rings.
    pub fn push(&self, span: Span, at_ms: i64, row: Vec<f32>) {
        let mut ring = self.ring(span).write();
        if ring.rows.len() >= ring.span.rows {
            ring.rows.pop_front();
        }
        ring.rows.push_back((at_ms, row.into()));
    }

    /// The figures whose names are asked for; an unknown name is left out.
    pub fn excerpt<'a>(&self, span: Span, names: impl Iterator<Item = &'a str>) -> Excerpt {
        let places = names.filter_map(|name| Some((name, self.names.iter().position(|known| known == name)?)));
        let ring = self.ring(span).read();
        let series = places.map(|(name, place)| {
            let value = |row: &(i64, Box<[f32]>)| row.1.get(place).copied().and_then(shown);
            Series { name: name.to_owned(), values: ring.rows.iter().map(value).collect() }
        });
        Excerpt { step_s: span.step_s, series: series.collect(), t: ring.rows.iter().map(|row| row.0).collect() }
    }

    fn ring(&self, span: Span) -> &RwLock<Ring> {
        if span == FINE { &self.fine } else { &self.coarse }
    }
}

/// A figure with four digits, which is more than anybody sees; `None` for what is not a number.
pub fn shown(value: f32) -> Option<f32> {
    if !value.is_finite() {
        return None;
    }
    let scale = 10f64.powi(3 - f64::from(value.abs().max(1e-9)).log10().floor() as i32);
    Some(((f64::from(value) * scale).round() / scale) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_row_makes_room() {
        let history = History::new(vec!["a".into(), "b".into()]);
        for n in 0..FINE.rows + 5 {
            history.push(FINE, n as i64, vec![n as f32, f32::NAN]);
        }
        let excerpt = history.excerpt(FINE, ["b", "unknown", "a"].into_iter());
        assert_eq!((excerpt.t.len(), excerpt.t[0], excerpt.series.len()), (FINE.rows, 5, 2));
        assert_eq!((excerpt.series[0].values[0], excerpt.series[1].values[0]), (None, Some(5.0)));
        assert!(history.excerpt(COARSE, ["a"].into_iter()).t.is_empty());
    }

    #[test]
    fn figures_are_told_with_four_digits() {
        assert_eq!(
            [0.123_456, 1234.56, 98_765.0, 0.0].map(shown),
            [Some(0.1235), Some(1235.0), Some(98_770.0), Some(0.0)]
        );
        assert_eq!(shown(f32::INFINITY), None);
    }
}
