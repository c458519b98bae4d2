//! A server under test and what asks it.

use std::{
    net::TcpListener,
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use foryou::{app::Application, config::Config, engines::Engines};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running server. Dropped, it is stopped in order.
pub struct Server {
    pub base: String,
    agent: ureq::Agent,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    dir: Option<TempDir>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Asserts a status, and gives the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts a well-formed problem document with this status that names `field` (unless that is empty).
    #[track_caller]
    pub fn problem(&self, status: u16, field: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "no {key}: {body}");
        }
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let named = |e: &Value| {
            e["field"].as_str().is_some_and(|f| f.rsplit('.').next() == Some(field))
                && e["reason"].as_str().is_some_and(|r| !r.is_empty())
        };
        assert!(field.is_empty() || errors.iter().any(named), "{field} is not named: {body}");
    }
}

impl Server {
    /// With the defaults, but for what makes tests independent of each other.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With these settings.
    pub fn start_with(toml: &str) -> Self {
        Self::start_on(TempDir::new().unwrap(), toml)
    }

    /// On what is in a folder, which goes with the server.
    pub fn start_on(dir: TempDir, toml: &str) -> Self {
        let mut server = Self::start_in(dir.path(), toml);
        server.dir = Some(dir);
        server
    }

    /// Waits until it is ready, its models among it.
    pub fn ready(self) -> Self {
        self.wait_ready();
        self
    }

    /// The same.
    pub fn wait_ready(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.get("/readyz").status != 200 {
            assert!(Instant::now() < until, "the server does not become ready");
        }
    }

    /// On what is in a folder.
    pub fn start_in(dir: &Path, toml: &str) -> Self {
        Self::start_at("127.0.0.1:0", dir, toml, |engines| engines)
    }

    /// At an address, on what is in a folder, with engines that are not quite as configured.
    pub fn start_at(
        address: &str,
        dir: &Path,
        toml: &str,
        change: impl FnOnce(Engines) -> Engines + Send + 'static,
    ) -> Self {
        let toml = format!("data.dir = {:?}\nserver.workers = 2\n{toml}", dir.to_str().unwrap());
        let config = Config::read(&toml, "the test", []).unwrap();
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let engines = change(Engines::open(&config, listener.local_addr().unwrap()).await.unwrap());
                let application = Application::start_on(config, listener, engines).await.unwrap();
                started.send(application.address()).unwrap();
                application.run_until(async { _ = stopped.await }).await.unwrap();
            });
        });
        let base = format!("http://{}", address.recv().expect("the server starts"));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self { base, agent, running: Some((stop, thread)), dir: None }
    }

    /// Stops it, and starts another on the same folder.
    pub fn restart(self) -> Self {
        Self::start_on(self.stopped(), "")
    }

    /// Stops it, and leaves its folder.
    pub fn stopped(mut self) -> TempDir {
        self.stop();
        self.dir.take().unwrap()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            _ = stop.send(());
            thread.join().expect("the server stops in order");
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(format!("{}{path}", self.base)).call())
    }

    pub fn get_with(&self, path: &str, header: (&str, &str)) -> Answer {
        answer(self.agent.get(format!("{}{path}", self.base)).header(header.0, header.1).call())
    }

    pub fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(format!("{}{path}", self.base)).call())
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.agent.put(format!("{}{path}", self.base)).send_json(body))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.agent.post(format!("{}{path}", self.base)).send_json(body))
    }

    pub fn post_raw(&self, path: &str, media_type: &str, body: &[u8]) -> Answer {
        answer(self.agent.post(format!("{}{path}", self.base)).content_type(media_type).send(body))
    }

    /// Publishes `count` videos `v0`, `v1`, ..
    pub fn publish(&self, count: usize) {
        let video = |n| json!({"id": format!("v{n}"), "creator": "c", "category": "x", "duration_ms": 10_000});
        let videos: Vec<_> = (0..count).map(video).collect();
        self.post("/v1/videos", &json!({ "videos": videos })).expect(202);
    }

    /// Sends one event, and gives its status.
    pub fn send(&self, event: &Value) -> String {
        let body = self.post("/v1/events", event).expect(202);
        body["results"][0]["status"].as_str().unwrap().to_owned()
    }

    /// Waits until a person's session has applied an event.
    pub fn wait_for(&self, user: &str, event: &str) {
        let feed = self.get(&format!("/v1/users/{user}/feed?after={event}&wait_ms=2000&limit=1")).expect(200);
        let behind = |d: &Value| d.as_str().is_some_and(|d| d.starts_with("after"));
        assert!(!feed["degraded"].as_array().unwrap().iter().any(behind), "{feed}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.unwrap();
    // A stream has no end.
    let streams = response.headers().get("content-type").is_some_and(|media| media == "text/event-stream");
    let text = if streams { String::new() } else { response.body_mut().read_to_string().unwrap() };
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
}
