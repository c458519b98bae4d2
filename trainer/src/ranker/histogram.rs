//! Gradient statistics per bin, and the best split they allow.

use super::bins::{Binned, MISSING};

/// Sums over rows: gradient, hessian, count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) gradient: f64,
    pub(crate) hessian: f64,
    pub(crate) rows: u32,
}

impl Sums {
    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
            rows: self.rows - other.rows,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
            rows: self.rows + other.rows,
        }
    }

    /// The leaf value that minimises the second-order loss, within `bounds`.
    pub(crate) fn value(self, l2: f64, bounds: (f64, f64)) -> f64 {
        (-self.gradient / (self.hessian + l2).max(1e-12)).clamp(bounds.0, bounds.1)
    }

    /// How far a leaf of `value` lowers that loss.
    fn improvement(self, l2: f64, value: f64) -> f64 {
        -(self.gradient * value + 0.5 * (self.hessian + l2) * value * value)
    }
}

/// One histogram per feature in use: 256 bins, the last for missing values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histograms(Vec<[Sums; 256]>);

impl Histograms {
    /// Sums `gradients` (gradient and hessian per row) over `rows`, for the features in use.
    pub(crate) fn build(&mut self, binned: &Binned, features: &[u32], rows: &[u32], gradients: &[(f32, f32)]) {
        self.0.clear();
        self.0.resize(features.len(), [Sums::default(); 256]);
        let gathered: Vec<(f32, f32)> = rows.iter().map(|&r| gradients[r as usize]).collect();
        for (bins, &feature) in self.0.iter_mut().zip(features) {
            let column = binned.column(feature as usize);
            for (&row, &(gradient, hessian)) in rows.iter().zip(&gathered) {
                let bin = &mut bins[usize::from(column[row as usize])];
                bin.gradient += f64::from(gradient);
                bin.hessian += f64::from(hessian);
                bin.rows += 1;
            }
        }
    }

    /// Turns a parent's histograms into those of one child, given the other child's.
    pub(crate) fn subtract(&mut self, sibling: &Self) {
        for (bins, other) in self.0.iter_mut().zip(&sibling.0) {
            bins.iter_mut().zip(other).for_each(|(a, b)| *a = a.minus(*b));
        }
    }

    /// Sums over all rows.
    pub(crate) fn total(&self) -> Sums {
        self.0.first().map_or(Sums::default(), |bins| bins.iter().fold(Sums::default(), |a, b| a.plus(*b)))
    }

    /// The split of largest gain over the features in use, if any is allowed.
    pub(crate) fn best_split(
        &self,
        binned: &Binned,
        features: &[u32],
        total: Sums,
        rules: &Rules<'_>,
    ) -> Option<Split> {
        let mut best: Option<Split> = None;
        for (bins, &feature) in self.0.iter().zip(features) {
            let missing = bins[usize::from(MISSING)];
            let mut left = Sums::default();
            for (bin, sums) in bins[..binned.bounds[feature as usize].len()].iter().enumerate() {
                left = left.plus(*sums);
                // Missing values to the right, then to the left; without any it is the same split.
                for missing_left in [false, true] {
                    if missing_left && missing.rows == 0 {
                        break;
                    }
                    let left = if missing_left { left.plus(missing) } else { left };
                    let split =
                        Split { feature, bin: bin as u8, missing_left, gain: 0.0, left, right: total.minus(left) };
                    if let Some(gain) = rules.gain(&split, total)
                        && gain > best.as_ref().map_or(rules.min_gain.max(1e-9), |b| b.gain)
                    {
                        best = Some(Split { gain, ..split });
                    }
                }
            }
            // All known values left, the missing right.
            if missing.rows > 0 {
                let last = binned.bounds[feature as usize].len();
                let left = total.minus(missing);
                let bin = last as u8;
                let split = Split { feature, bin, missing_left: false, gain: 0.0, left, right: missing };
                if let Some(gain) = rules.gain(&split, total)
                    && gain > best.as_ref().map_or(rules.min_gain.max(1e-9), |b| b.gain)
                {
                    best = Some(Split { gain, ..split });
                }
            }
        }
        best
    }
}

/// What a split must keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) l2: f64,
    pub(crate) min_rows: u32,
    pub(crate) min_gain: f64,
    /// Per feature -1, 0 or 1; empty if all are free.
    pub(crate) monotone: &'a [i8],
    /// Between which values the node's leaves must lie.
    pub(crate) bounds: (f64, f64),
}

impl Rules<'_> {
    /// The direction in which a feature may move the score.
    pub(crate) fn direction(&self, feature: u32) -> i8 {
        self.monotone.get(feature as usize).copied().unwrap_or(0)
    }

    fn gain(&self, split: &Split, total: Sums) -> Option<f64> {
        if split.left.rows < self.min_rows || split.right.rows < self.min_rows {
            return None;
        }
        let (l, r) = (split.left.value(self.l2, self.bounds), split.right.value(self.l2, self.bounds));
        if f64::from(self.direction(split.feature)) * (r - l) < 0.0 {
            return None;
        }
        let parent = total.improvement(self.l2, total.value(self.l2, self.bounds));
        Some(split.left.improvement(self.l2, l) + split.right.improvement(self.l2, r) - parent)
    }
}

/// A possible split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    pub(crate) feature: u32,
    /// Values up to this bin go left. One past the last bound: all known values do.
    pub(crate) bin: u8,
    pub(crate) missing_left: bool,
    pub(crate) gain: f64,
    pub(crate) left: Sums,
    pub(crate) right: Sums,
}

impl Split {
    /// Whether a row with this code goes left.
    pub(crate) fn goes_left(&self, code: u8) -> bool {
        if code == MISSING { self.missing_left } else { code <= self.bin }
    }

    /// The threshold on raw values.
    pub(crate) fn threshold(&self, binned: &Binned) -> f32 {
        binned.bounds[self.feature as usize].get(usize::from(self.bin)).copied().unwrap_or(f32::MAX)
    }
}
