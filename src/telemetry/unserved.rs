//! Requests that cannot be served while something is away: in the log by route, the first at once, then ever fewer. The metrics
//! count all of them.

use std::{collections::HashMap, time::Duration};

use foryou_actors::complaint::Complaint;
use parking_lot::Mutex;

use crate::error::Problem;

/// By route. There are as many as the server has, and each is made when it fails.
#[derive(Default)]
pub struct Unserved(Mutex<HashMap<String, Complaint>>);

impl Unserved {
    /// A request was answered with a problem that has a cause. One of this server's own (500) is always told: the answer says that the
    /// log has it.
    pub fn note(&self, route: &str, took: Duration, problem: &Problem) {
        let took_ms = took.as_secs_f64() * 1e3;
        if !problem.is_passing() {
            return tracing::error!(route, took_ms, %problem, "the request failed");
        }
        let mut routes = self.0.lock();
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Complaint::default());
        }
        match routes.get(route).and_then(Complaint::failed) {
            Some(left_out) => tracing::warn!(route, took_ms, %problem, left_out, "the request cannot be served now"),
            None => tracing::debug!(route, took_ms, %problem, "the request cannot be served now"),
        }
    }

    /// Tells how many more there were. Call it every second: the next request may never come.
    pub fn tell_rest(&self) {
        for (route, complaint) in &*self.0.lock() {
            if let Some(left_out) = complaint.rest() {
                tracing::warn!(route, left_out, "more requests could not be served");
            }
        }
    }
}
