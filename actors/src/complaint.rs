//! Lines in the log about what fails again and again: the first at once, then more and more seldom, and what was left out is told.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Between two lines: at first, and at the most. The pause doubles.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Decides which failures of one kind are told. In a trouble that lasts there are lines after 0, 1, 3, 7, 15, 31, 63 seconds, and
/// then one a minute, however often it is tried.
#[derive(Default)]
pub struct Complaint(Mutex<State>);

#[derive(Default)]
struct State {
    /// When the last line was told, and how long there is none after it.
    told: Option<(Instant, Duration)>,
    /// The last failure, told or not.
    last: Option<Instant>,
    /// Since when it has been failing, and how often it has.
    spell: Option<(Instant, u64)>,
    /// Somebody read of this spell.
    is_known: bool,
    left_out: u64,
}

impl Complaint {
    /// It failed. Where that is to be told: how many failures were left out since the last line.
    pub fn failed(&self) -> Option<u64> {
        self.0.lock().failed(Instant::now())
    }

    /// It works. Where somebody read that it did not: how often it had failed. Cheap.
    pub fn works(&self) -> Option<u64> {
        self.0.lock().works(Instant::now())
    }

    /// Where it is time for another line, and failures were left out since the last: how many. For what is not tried again and again,
    /// so that the next failure may never come.
    pub fn rest(&self) -> Option<u64> {
        self.0.lock().rest(Instant::now())
    }
}

impl State {
    fn failed(&mut self, now: Instant) -> Option<u64> {
        let quiet = self.last.replace(now).is_none_or(|last| now - last > PAUSES.1);
        self.spell.get_or_insert((now, 0)).1 += 1;
        let pause = match self.told {
            Some((at, pause)) if !quiet => {
                if now - at < pause {
                    self.left_out += 1;
                    return None;
                }
                (pause * 2).min(PAUSES.1)
            }
            _ => PAUSES.0,
        };
        Some(self.tell(now, pause))
    }

    fn works(&mut self, now: Instant) -> Option<u64> {
        let (since, failed) = self.spell.take()?;
        // A state of its own, whose end and next beginning are news. What comes and goes faster stays as seldom as it is.
        if self.told.is_some_and(|(_, pause)| now - since >= pause) {
            self.told = None;
        }
        if !std::mem::take(&mut self.is_known) {
            return None;
        }
        self.left_out = 0;
        Some(failed)
    }

    fn rest(&mut self, now: Instant) -> Option<u64> {
        let (at, pause) = self.told?;
        if self.left_out == 0 || now - at < pause {
            return None;
        }
        Some(self.tell(now, (pause * 2).min(PAUSES.1)))
    }

    fn tell(&mut self, now: Instant, pause: Duration) -> u64 {
        self.told = Some((now, pause));
        self.is_known = true;
        std::mem::take(&mut self.left_out)
    }
}

/// How long something may fail before it counts as a trouble: one failure among many is none.
const LASTING: Duration = Duration::from_secs(2);

/// What has been failing, and since when, for readiness.
#[derive(Default)]
pub struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    /// It failed for this reason.
    pub fn begin(&self, reason: String) {
        let mut now = self.0.lock();
        let since = now.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *now = Some((since, reason));
    }

    /// It works.
    pub fn end(&self) {
        *self.0.lock() = None;
    }

    /// What has been failing for some seconds now, and for how many.
    pub fn lasting(&self) -> Option<String> {
        let now = self.0.lock();
        let (since, reason) = now.as_ref().filter(|(since, _)| since.elapsed() >= LASTING)?;
        Some(format!("{reason} (for {} s)", since.elapsed().as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When lines are told, in milliseconds, of failures at these times, and how many each says were left out.
    fn told(state: &mut State, start: Instant, failures: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let at = |ms| start + Duration::from_millis(ms);
        failures.filter_map(|ms| Some((ms, state.failed(at(ms))?))).collect()
    }

    #[test]
    fn what_lasts_is_told_more_and_more_seldom_and_nothing_is_lost() {
        let (mut state, start) = (State::default(), Instant::now());
        let lines = told(&mut state, start, (0..=200_000).step_by(200));
        let times: Vec<u64> = lines.iter().map(|(ms, _)| ms / 1_000).collect();
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert_eq!(lines[..3], [(0, 0), (1_000, 4), (3_000, 9)]);
        let counted = lines.iter().map(|(_, left_out)| left_out + 1).sum::<u64>() + state.left_out;
        assert_eq!(counted, 1_001);
        assert_eq!(state.works(start + Duration::from_secs(201)), Some(1_001));
        assert_eq!(state.works(start + Duration::from_secs(202)), None);
    }

    #[test]
    fn the_next_trouble_is_news_and_what_flickers_is_not() {
        let (mut state, start) = (State::default(), Instant::now());
        told(&mut state, start, (0..40_000).step_by(500));
        assert!(state.works(start + Duration::from_secs(100)).is_some());
        assert_eq!(told(&mut state, start, [100_010].into_iter()), [(100_010, 0)]);

        let (mut state, mut lines) = (State::default(), 0);
        for ms in (0..100_000).step_by(100) {
            lines += u64::from(state.failed(start + Duration::from_millis(ms)).is_some());
            lines += u64::from(state.works(start + Duration::from_millis(ms + 50)).is_some());
        }
        assert_eq!(lines, 2 * 7, "it fails and works ten times a second");
    }

    #[test]
    fn a_rest_is_told_once() {
        let (mut state, start) = (State::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!((state.rest(at(0)), told(&mut state, start, [0, 10, 20].into_iter())), (None, vec![(0, 0)]));
        assert_eq!([500, 1_000, 9_000].map(|ms| state.rest(at(ms))), [None, Some(2), None]);
        // So long ago that it is another trouble.
        assert_eq!(told(&mut state, start, [90_000, 90_900, 91_000].into_iter()), [(90_000, 0), (91_000, 1)]);
    }
}
