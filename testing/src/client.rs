use std::time::Duration;

use serde_json::Value;

/// Asks a server over HTTP. A server that is away is an answer too: tests that end servers meet it.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `x-foryou-node`: who made the answer.
    pub node: String,
    /// The body; null where it is empty, a string where it is not JSON.
    pub body: Value,
}

impl Answer {
    /// Asserts a status, and gives the body.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The reasons in a feed's `degraded` that say that it may be behind: it was not made by who holds the person, or without what
    /// it was to wait for, or without the session.
    pub fn behind(&self) -> Vec<String> {
        let reasons = self.body["degraded"].as_array().into_iter().flatten().filter_map(Value::as_str);
        reasons.filter(|r| ["after", "owner", "session"].iter().any(|s| r.starts_with(s))).map(str::to_owned).collect()
    }
}

impl Client {
    /// Of a server at `address` (`host:port`), that waits so long for an answer.
    pub fn new(address: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(patience));
        Self { base: format!("http://{address}"), agent: config.build().into() }
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// There was no answer: says why.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        read(self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// Deletes what is at a path.
    ///
    /// # Errors
    /// There was no answer: says why.
    pub fn delete(&self, path: &str) -> Result<Answer, String> {
        read(self.agent.delete(format!("{}{path}", self.base)).call())
    }

    /// Puts JSON to a path.
    ///
    /// # Errors
    /// There was no answer: says why.
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer, String> {
        read(self.agent.put(format!("{}{path}", self.base)).send_json(body))
    }

    /// Posts JSON to a path.
    ///
    /// # Errors
    /// There was no answer: says why.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        read(self.agent.post(format!("{}{path}", self.base)).send_json(body))
    }
}

fn read(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = result.map_err(|error| error.to_string())?;
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    let node = response.headers().get("x-foryou-node").and_then(|node| node.to_str().ok());
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    };
    Ok(Answer { status: response.status().as_u16(), node: node.unwrap_or_default().to_owned(), body })
}
