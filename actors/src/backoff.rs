//! Pauses between attempts at what fails.

use std::time::Duration;

use rand::Rng;

/// Each pause is up to twice as long as the one before, to a bound; half of it is left to chance, so that not all nodes try at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first` to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause: from half of what it has grown to up to that.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    /// It worked: the next pause is short again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// It worked for so long. What fails as soon as it began is no sign of better times.
    pub fn worked_for(&mut self, time: Duration) {
        if time > self.longest {
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        let pauses: Vec<Duration> = std::iter::repeat_with(|| backoff.pause()).take(64).collect();
        for (pause, most) in
            pauses.iter().zip([100, 200, 400, 800, 1_000, 1_000].into_iter().map(Duration::from_millis))
        {
            assert!((most / 2..=most).contains(pause), "{pause:?} of {most:?}");
        }
        assert!(pauses[4..].iter().all(|pause| (longest / 2..=longest).contains(pause)));
        assert!(pauses[4..].windows(2).any(|two| two[0] != two[1]));
        backoff.worked_for(longest);
        assert!(backoff.pause() > first);
        backoff.worked_for(longest * 2);
        assert!(backoff.pause() <= first);
    }
}
