//! The time windows over which counts are kept, by the names that clients use.

use foryou_actors::statistics::HALF_LIVES_S;

/// A window of [`foryou_actors::statistics::Statistics`]: counts decay with its half-life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// 6 hours.
    Hours6,
    /// 2 days.
    #[default]
    Days2,
    /// 14 days.
    Days14,
}

impl Window {
    const NAMED: [(&'static str, Self); 3] = [("6h", Self::Hours6), ("2d", Self::Days2), ("14d", Self::Days14)];

    /// The names of all.
    pub fn names() -> [&'static str; 3] {
        Self::NAMED.map(|(name, _)| name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        Self::NAMED[self.index()].0
    }

    /// Reads a window's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::NAMED.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, window)| window).ok_or_else(|| {
            let known = Self::names().join(", ");
            format!("{text:?} is not a window; known are {known}")
        })
    }

    /// Its place in a [`foryou_actors::statistics::Decayed`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its half-life, seconds.
    pub const fn half_life_s(self) -> f64 {
        HALF_LIVES_S[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_half_lives_agree() {
        for (name, hours) in [("6h", 6.0), ("2d", 48.0), ("14d", 336.0)] {
            let window = Window::parse(name).unwrap();
            assert_eq!((window.name(), window.half_life_s()), (name, hours * 3600.0));
        }
        assert!(Window::parse("1y").unwrap_err().contains("known are 6h, 2d, 14d"));
    }
}
