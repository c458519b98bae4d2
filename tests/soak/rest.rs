use foryou_testing::Client;
use serde_json::{Value, json};

use crate::producer::{Events, Refused};

/// `POST /v1/events` of two servers: where one does not take the events, the other is asked.
pub struct Door {
    nodes: Vec<Client>,
    next: usize,
}

impl Door {
    pub fn new(nodes: Vec<Client>, first: usize) -> Self {
        Self { nodes, next: first }
    }
}

impl Events for Door {
    fn send(&mut self, events: &[Value]) -> Result<(), Refused> {
        let node = &self.nodes[self.next % self.nodes.len()];
        let answer = node.post("/v1/events", &json!({ "events": events }));
        let refused = match answer {
            Err(_) => Refused::Away,
            Ok(answer) if [429, 503].contains(&answer.status) => Refused::Overloaded,
            Ok(answer) => {
                let results = answer.body["results"].as_array();
                let taken = |result: &Value| result["status"] == "accepted" || result["status"] == "duplicate";
                match results {
                    Some(results) if answer.status == 202 && results.iter().all(taken) => return Ok(()),
                    _ => Refused::Strange(format!("{}: {}", answer.status, answer.body)),
                }
            }
        };
        self.next += 1;
        Err(refused)
    }
}
