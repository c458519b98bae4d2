//! What has to be asked for: the depth of the bus, and what the system says of this process. Asked once in a while, read at any time.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use foryou_actors::ports::bus::EventBus;
use parking_lot::Mutex;

/// How long the bus may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is asked: a broker has to look at every queue.
const EVERY: Duration = Duration::from_secs(3);

/// The latest answers.
pub struct Gauges {
    /// Bits of a float; not a number while the bus does not answer.
    bus_depth: AtomicU64,
    asked: Mutex<Option<Instant>>,
}

impl Default for Gauges {
    fn default() -> Self {
        Self { bus_depth: AtomicU64::new(f64::NAN.to_bits()), asked: Mutex::default() }
    }
}

/// What the system says of this process.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Time on all cores.
    pub cpu: Duration,
    /// Memory in use.
    pub resident_bytes: u64,
}

impl Gauges {
    /// Asks the bus, where it is time to; a cheap one every second.
    pub async fn ask(&self, bus: &dyn EventBus, cheap: bool) {
        let due = self.asked.lock().is_none_or(|asked| asked.elapsed() >= EVERY);
        if !(cheap || due) {
            return;
        }
        *self.asked.lock() = Some(Instant::now());
        let depth = match tokio::time::timeout(PATIENCE, bus.depth()).await {
            Ok(Ok(depth)) => depth as f64,
            _ => f64::NAN,
        };
        self.bus_depth.store(depth.to_bits(), Relaxed);
    }

    /// Events on the bus, as last asked; not a number while it does not answer.
    pub fn bus_depth(&self) -> f64 {
        f64::from_bits(self.bus_depth.load(Relaxed))
    }

    /// CPU time and memory; `None` where the system does not tell.
    pub fn process(&self) -> Option<Process> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may hold anything; the third field follows it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
        // Linux counts in hundredths of a second and pages of 4 KiB on every machine that this runs on.
        let cpu = Duration::from_millis((number(14)? + number(15)?) * 10);
        Some(Process { cpu, resident_bytes: number(24)? * 4_096 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_uses_memory() {
        assert!(Gauges::default().process().unwrap().resident_bytes > 1 << 20);
    }
}
