//! A server that checks who calls, and everybody who may call it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Answer, Server};

/// The password of `anna` at the console.
pub const PASSWORD: &str = "correct horse battery";
const SECRET: &[u8] = b"0123456789012345678901234567890123456789";
const SECRET_IN_SET: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OQ";

/// The server, and what is beside it.
pub struct Guarded {
    pub server: Server,
    pub agent: ureq::Agent,
    /// Where token keys and certificates are.
    _beside: TempDir,
}

impl Guarded {
    /// With these settings besides those that switch the checks on.
    pub fn start(more: &str) -> Self {
        let beside = TempDir::new().unwrap();
        let set = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "k", "k": SECRET_IN_SET}]});
        let tokens = beside.path().join("tokens.json");
        std::fs::write(&tokens, set.to_string()).unwrap();
        let anna = foryou::access::admins::entry("anna", PASSWORD).unwrap();
        let settings = format!(
            "access.mode = \"on\"\naccess.refresh_ms = 100\naccess.tokens.keys = {tokens:?}\naccess.admin.users = {anna:?}\n{more}"
        );
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self { server: Server::start_with(&settings), agent, _beside: beside }
    }

    /// What the server answers to a request with these headers; a body is JSON, or a form where it is a string.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        ask(&self.agent, method, &format!("{}{path}", self.server.base), headers, body)
    }

    /// Makes a key with `foryou keys create`, and waits until the server takes it.
    pub fn key(&self, scope: &str, more: &[&str]) -> String {
        let made = keys(self.server.dir(), &[&["create", "--scope", scope], more].concat());
        made["key"].as_str().unwrap().to_owned()
    }

    /// Asks again until the answer has this status.
    #[track_caller]
    pub fn until(&self, method: &str, path: &str, bearer: &str, status: u16) -> Answer {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.ask(method, path, &[("authorization", &format!("Bearer {bearer}"))], None);
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < until, "still {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Logs `anna` in; the session's cookie, and what a change shows.
    pub fn log_in(&self) -> (String, String) {
        let form = json!(format!("name=anna&password={}", PASSWORD.replace(' ', "+")));
        let answer = self.ask("POST", "/admin/login", &[("origin", &self.server.base)], Some(&form));
        assert_eq!((answer.status, answer.header("location")), (303, "/admin"), "{}", answer.text);
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
        let value = |name: &str| {
            let cookie = cookies.iter().find_map(|cookie| cookie.strip_prefix(name)).unwrap();
            cookie.split(';').next().unwrap().to_owned()
        };
        (format!("foryou-admin={}", value("foryou-admin=")), value("foryou-csrf="))
    }
}

/// What a server answers.
pub fn ask(agent: &ureq::Agent, method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answered = match body {
        None => agent.run(request.body(()).unwrap()),
        Some(Value::String(form)) => {
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            agent.run(request.body(form.clone()).unwrap())
        }
        Some(json) => agent.run(request.header("content-type", "application/json").body(json.to_string()).unwrap()),
    };
    crate::server::answer(answered)
}

/// Runs `foryou keys` on a data folder.
pub fn keys(data: &Path, words: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foryou"));
    command.arg("keys").args(words).arg("--json").env("FORYOU__DATA__DIR", data);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A token of a person that is good for so many seconds from now.
pub fn token(user: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::HS256) };
    encode(&header, &json!({"sub": user, "exp": now + seconds}), &EncodingKey::from_secret(SECRET)).unwrap()
}

/// The file of keys in a server's data folder.
pub fn key_file(data: &Path) -> PathBuf {
    data.join("access/keys.json")
}
