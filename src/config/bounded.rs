//! Numbers that carry their range in the type.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// A number that is known to be in range; anything else does not compile in a `const`.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        assert!(value >= MIN && value <= MAX, "out of range");
        Self(value)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number, or `least` where that is more, as far as the range goes.
    #[must_use]
    pub fn at_least(self, least: usize) -> Self {
        Self(u32::try_from(least).unwrap_or(u32::MAX).clamp(self.0, MAX))
    }

    /// The number as a count.
    pub fn count(self) -> usize {
        self.0 as usize
    }

    /// The number as milliseconds.
    pub fn millis(self) -> Duration {
        Duration::from_millis(self.0.into())
    }

    /// The number as seconds.
    pub fn seconds(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Whole<MIN, MAX> {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        let number = u32::try_from(value).ok().filter(|n| (MIN..=MAX).contains(n));
        number.map(Self).ok_or_else(|| format!("is {value}; it must be from {MIN} to {MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> From<Whole<MIN, MAX>> for i64 {
    fn from(value: Whole<MIN, MAX>) -> Self {
        value.0.into()
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Debug for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A finite number from `MIN` to `MAX`.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Real<const MIN: i32, const MAX: i32>(f64);

impl<const MIN: i32, const MAX: i32> Real<MIN, MAX> {
    /// A number that is known to be in range; anything else does not compile in a `const`.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        assert!(value >= MIN as f64 && value <= MAX as f64, "out of range");
        Self(value)
    }

    /// The number.
    pub fn get(self) -> f32 {
        self.0 as f32
    }
}

impl<const MIN: i32, const MAX: i32> TryFrom<f64> for Real<MIN, MAX> {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        match value >= f64::from(MIN) && value <= f64::from(MAX) {
            true => Ok(Self(value)),
            false => Err(format!("is {value}; it must be from {MIN} to {MAX}")),
        }
    }
}

impl<const MIN: i32, const MAX: i32> From<Real<MIN, MAX>> for f64 {
    fn from(value: Real<MIN, MAX>) -> Self {
        value.0
    }
}

impl<const MIN: i32, const MAX: i32> fmt::Debug for Real<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
