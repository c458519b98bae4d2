//! What was done through the console: each deed leaves a line, whatever came of it.

use actix_web::HttpRequest;

use crate::{app::App, error::Problem};

/// A deed: what, and on what.
pub struct Deed<'a> {
    /// In two words, as `service restart`.
    pub action: &'static str,
    /// An id or a name.
    pub on: &'a str,
}

/// Notes a deed and how it ended; gives the result back.
pub async fn noted<T>(
    _app: &App,
    _request: &HttpRequest,
    deed: Deed<'_>,
    done: Result<T, Problem>,
) -> Result<T, Problem> {
    let outcome = if done.is_ok() { "done" } else { "failed" };
    tracing::info!(action = deed.action, on = deed.on, outcome, "audit");
    done
}
