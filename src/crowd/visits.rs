//! When a person of the log asks for a feed: on coming, and each time some videos are watched.

use std::collections::HashMap;

use foryou_schemas::{Event, Kind, UserId};

/// A pause in the log after which a person comes anew: 30 minutes.
const PAUSE_MS: i64 = 1_800_000;
/// Videos that a feed lasts for.
const LASTS: u32 = 8;

/// Everybody who came.
#[derive(Default)]
pub struct Visits(HashMap<UserId, Visit>);

struct Visit {
    /// When something was done last, in the log's time.
    latest_ms: i64,
    /// Videos since the last feed.
    watched: u32,
}

impl Visits {
    /// Whether the person of an event asks for a feed after it.
    pub fn wants_feed(&mut self, event: &Event) -> bool {
        let at_ms = event.at.millis();
        let watched = u32::from(matches!(event.kind, Kind::Impression | Kind::View));
        let Some(visit) = self.0.get_mut(&event.user) else {
            self.0.insert(event.user.clone(), Visit { latest_ms: at_ms, watched: 0 });
            return true;
        };
        // A log that begins again goes back in time.
        let pause = at_ms - visit.latest_ms;
        visit.latest_ms = at_ms;
        visit.watched += watched;
        let wants = visit.watched >= LASTS || !(0..=PAUSE_MS).contains(&pause);
        if wants {
            visit.watched = 0;
        }
        wants
    }

    /// How many different people came.
    pub fn people(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use foryou_schemas::{EventId, Timestamp};

    use super::*;

    #[test]
    fn a_person_asks_on_coming_and_after_some_videos() {
        let mut visits = Visits::default();
        let mut at = |minute: i64, kind: &str| {
            let at = Timestamp::from_millis(1_651_000_000_000).unwrap().plus_millis(minute * 60_000);
            let watch = if kind == "view" { r#","watch_ms":9"# } else { "" };
            let json = format!(r#"{{"user":"u","video":"v","kind":"{kind}","at":"{at}"{watch}}}"#);
            let event = Event::parse(json.as_bytes(), Timestamp::now(), || EventId::from_u128(1)).unwrap();
            visits.wants_feed(&event)
        };
        assert!(at(0, "view"), "who comes asks");
        let asked: Vec<bool> = (1..=8).map(|minute| at(minute, "view")).collect();
        assert_eq!(asked.iter().position(|asked| *asked), Some(7), "after eight videos");
        assert!(!at(9, "like"), "a like is no video");
        assert!(at(60, "like"), "who comes back asks");
        assert!(at(0, "view"), "as the log begins again");
        assert_eq!(visits.people(), 1);
    }
}
