//! How often each key and each person may ask: the generic cell rate algorithm (GCRA), a leaky bucket that is one number each.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use parking_lot::Mutex;

const SHARDS: usize = 16;
/// Whom a shard remembers at most: with all shards about a million, 16 to 32 MB.
const MOST: usize = 65_536;

/// Lets each asker through so often a second on average, and so often at once.
pub struct Limiter {
    /// Nanoseconds that one request costs; 0: no limit.
    each: u64,
    /// Nanoseconds that may be owed.
    burst: u64,
    hasher: RandomState,
    /// By hash of the asker: when it will owe nothing, nanoseconds on the caller's clock. One that owes nothing need not be there.
    shards: [Mutex<HashMap<u64, u64>>; SHARDS],
}

impl Limiter {
    /// `per_s` a second, of which `burst` may come at once; 0 a second stands for no limit.
    pub fn new(per_s: f64, burst: u32) -> Self {
        let each = if per_s > 0.0 { (1e9 / per_s).max(1.0) as u64 } else { 0 };
        let burst = each.saturating_mul(u64::from(burst.max(1)));
        Self { each, burst, hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Counts a request of `who` at the time `now` on a clock that never goes back; the error is how long to wait.
    pub fn take(&self, who: &str, now: Duration) -> Result<(), Duration> {
        if self.each == 0 {
            return Ok(());
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let hash = self.hasher.hash_one(who);
        let mut shard = self.shards[hash as usize % SHARDS].lock();
        let free = shard.get(&hash).copied().unwrap_or(0).max(now).saturating_add(self.each);
        let over = free.saturating_sub(now).saturating_sub(self.burst);
        if over > 0 {
            return Err(Duration::from_nanos(over));
        }
        if shard.len() >= MOST && !shard.contains_key(&hash) {
            shard.retain(|_, free| *free > now);
            if shard.len() >= MOST {
                // More askers at once than can be remembered: better all get a fresh start than memory without end.
                shard.clear();
            }
        }
        shard.insert(hash, free);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let limiter = Limiter::new(10.0, 3);
        for _ in 0..3 {
            limiter.take("a", at(0)).unwrap();
        }
        assert_eq!(limiter.take("a", at(0)), Err(at(100)));
        limiter.take("b", at(0)).unwrap();
        limiter.take("a", at(100)).unwrap();
        assert_eq!(limiter.take("a", at(150)), Err(at(50)));
        for _ in 0..3 {
            limiter.take("a", at(10_000)).unwrap();
        }
        assert!(limiter.take("a", at(10_000)).is_err());
    }

    #[test]
    fn no_limit_is_no_limit() {
        let limiter = Limiter::new(0.0, 1);
        for _ in 0..1_000 {
            limiter.take("a", at(0)).unwrap();
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(1.0, 1);
        for who in 0..3 * SHARDS * MOST {
            _ = limiter.take(&who.to_string(), at(who as u64 / 1_000));
        }
        assert!(limiter.shards.iter().all(|shard| shard.lock().len() <= MOST));
    }

    proptest::proptest! {
        #[test]
        fn over_any_time_no_more_than_rate_and_burst(steps in proptest::collection::vec(0_u64..400, 1..200)) {
            let (limiter, mut now, mut passed) = (Limiter::new(5.0, 4), 0, 0_u64);
            for step in steps {
                now += step;
                passed += u64::from(limiter.take("a", at(now)).is_ok());
            }
            proptest::prop_assert!(passed <= 4 + now * 5 / 1_000);
        }
    }
}
