use foryou_schemas::Timestamp;
use rand::{Rng, rngs::SmallRng};
use serde_json::{Value, json};

use crate::VIDEOS;

/// Somebody, and what was acknowledged of them. The next event is sent when the one before is acknowledged: their order is plain.
#[derive(Debug)]
pub struct Person {
    pub id: String,
    /// In order; the first is number 1.
    pub acknowledged: Vec<Acknowledged>,
}

/// When an event was first sent and when it was acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    pub sent: f64,
    pub at: f64,
}

impl Person {
    pub fn new(id: String) -> Self {
        Self { id, acknowledged: Vec::new() }
    }

    /// The id of an event.
    pub fn event_id(&self, n: usize) -> String {
        format!("{}/{n}", self.id)
    }

    /// Their next event.
    pub fn next(&self, rng: &mut SmallRng) -> Value {
        let id = self.event_id(self.acknowledged.len() + 1);
        let video = format!("v{}", rng.random_range(0..VIDEOS));
        let at = Timestamp::now().to_string();
        json!({"id": id, "user": self.id, "video": video, "kind": "view", "watch_ms": 5_000, "at": at})
    }
}
