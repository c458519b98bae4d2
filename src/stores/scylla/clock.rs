//! The times under which rows are written: of two writes of one cell the one with the later time stays, whichever comes last.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

const DAY_US: i64 = 86_400 * 1_000_000;

/// A clock that never stands still, and never runs behind what it saw of other writers' clocks.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    /// Microseconds since 1970, later than all given and seen before.
    pub fn next(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        let last = self.0.fetch_update(Relaxed, Relaxed, |last| Some(now.max(last + 1))).unwrap_or(now);
        now.max(last + 1)
    }

    /// Notes a time that was read from the store.
    pub fn saw(&self, time: i64) {
        self.0.fetch_max(time, Relaxed);
    }
}

/// The day of a time in microseconds.
pub fn day(time: i64) -> i32 {
    time.div_euclid(DAY_US) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_keeps_ahead_of_what_it_saw() {
        let clock = Clock::default();
        let first = clock.next();
        assert!(clock.next() > first);
        clock.saw(first + 3_600_000_000);
        assert_eq!(clock.next(), first + 3_600_000_001);
        assert_eq!((day(-1), day(0), day(DAY_US)), (-1, 0, 1));
    }
}
