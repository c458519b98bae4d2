//! A headless Chromium with one page, driven through chromedriver: the few commands of WebDriver that the tests need, and what only
//! Chromium knows (its log, its requests, the size of a phone). The clients on crates.io bring a second copy of ICU for text that is
//! typed; these are JSON objects over HTTP.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long a page may take for anything.
const DEADLINE: Duration = Duration::from_secs(60);
const HOW_TO_GET_IT: &str = "the browser tests need Debian's packages chromium and chromium-driver: apt-get install -y \
    --no-install-recommends chromium chromium-driver; leave the tests out with -- --skip browser";

/// A browser at the pages of one server.
pub struct Browser {
    process: Child,
    /// Held, or what it says later would end it.
    _said: Lines<BufReader<ChildStdout>>,
    session: String,
    agent: ureq::Agent,
    base: String,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const SCREENS: [Screen; 4] = [
    Screen { name: "desktop-light", width: 1440, height: 900, dark: false },
    Screen { name: "desktop-dark", width: 1440, height: 900, dark: true },
    Screen { name: "phone-light", width: 390, height: 844, dark: false },
    Screen { name: "phone-dark", width: 390, height: 844, dark: true },
];

impl Browser {
    /// A browser for the server at `base`. It can reach no other host.
    pub fn open(base: &str) -> Self {
        let process = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("{error}; {HOW_TO_GET_IT}"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port =
            |line: &str| line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| port(&line)).expect(HOW_TO_GET_IT);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
        let mut browser = Self {
            process,
            _said: lines,
            session: format!("http://127.0.0.1:{port}/session"),
            agent: agent.into(),
            base: base.to_owned(),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.post("", &capabilities);
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().expect(HOW_TO_GET_IT));
        browser
    }

    /// Opens a page, and waits until it is there.
    pub fn goto(&self, path: &str) {
        self.post("/url", &json!({"url": format!("{}{path}", self.base)}));
    }

    /// Runs a script (the body of a function) in the page, and gives what it returns.
    pub fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script that calls its last argument with what it gives.
    pub fn script_later(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression holds in the page.
    pub fn wait(&self, expression: &str) {
        let until = Instant::now() + DEADLINE;
        while self.script(&format!("return Boolean({expression})")) != json!(true) {
            let shown = || self.script("return document.body.innerText");
            assert!(Instant::now() < until, "{expression} does not come true; the page shows {}", shown());
        }
    }

    /// Waits until the page shows a text.
    pub fn wait_for_text(&self, text: &str) {
        self.wait(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// Clicks on the one element of a selector whose text begins like this.
    pub fn click(&self, selector: &str, text: &str) {
        let element = format!(
            "[...document.querySelectorAll({})].find((e) => !e.disabled && e.innerText.trim().startsWith({}))",
            json!(selector),
            json!(text)
        );
        self.wait(&element);
        let id = self.script(&format!("const e = {element}; e.scrollIntoView({{block: 'center'}}); return e;"));
        let id = id.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Presses keys, one after the other.
    pub fn keys(&self, keys: &str) {
        let presses = |key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.chars().map(String::from).flat_map(presses).collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// Moves the pointer to the middle of an element.
    pub fn point_at(&self, selector: &str) {
        let place = self.script(&format!(
            "const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2].map(Math.round)",
            json!(selector)
        ));
        let there = json!({"type": "pointerMove", "duration": 0, "x": place[0], "y": place[1]});
        let mouse =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [there]});
        self.post("/actions", &json!({ "actions": [mouse] }));
    }

    /// Pulls an element up by a finger, two thirds of its height.
    pub fn swipe_up(&self, selector: &str) {
        let place = self.script(&format!(
            "const b = document.querySelector({}).getBoundingClientRect(); return [b.x + b.width / 2, b.y, b.height].map(Math.round)",
            json!(selector)
        ));
        let [x, top, height] = [0, 1, 2].map(|i| place[i].as_i64().unwrap());
        let at = |part: i64| json!({"type": "pointerMove", "duration": 60, "x": x, "y": top + height * part / 6});
        let (down, up) = (json!({"type": "pointerDown", "button": 0}), json!({"type": "pointerUp", "button": 0}));
        let finger = json!({"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}, "actions": [at(5), down, at(4), at(2), at(1), up]});
        self.post("/actions", &json!({ "actions": [finger] }));
    }

    /// Shows the page on another screen.
    pub fn screen(&self, screen: Screen) {
        let Screen { width, height, dark, .. } = screen;
        let phone = width < 600;
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        );
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.cdp("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Keeps a picture of the whole page for people to look at: in FORYOU_SCREENSHOTS, or beside the build.
    pub fn picture(&self, name: &str) {
        let size = self.script("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]");
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        self.keep(name, json!({"format": "png", "captureBeyondViewport": true, "clip": clip}));
    }

    /// Keeps a picture of what is on the screen, of a page that is too long for one.
    pub fn picture_of_screen(&self, name: &str) {
        self.keep(name, json!({"format": "png"}));
    }

    fn keep(&self, name: &str, how: Value) {
        let taken = self.cdp("Page.captureScreenshot", how);
        let beside = || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        let folder = std::env::var_os("FORYOU_SCREENSHOTS").map_or_else(beside, PathBuf::from);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), base64(taken["data"].as_str().unwrap())).unwrap();
    }

    /// What the page complained of since the last call, and every request to another host.
    pub fn complaints(&self) -> Vec<String> {
        let logged = self.post("/se/log", &json!({"type": "browser"}));
        let mut complaints: Vec<String> =
            logged.as_array().unwrap().iter().map(|line| line["message"].to_string()).collect();
        for line in self.post("/se/log", &json!({"type": "performance"})).as_array().unwrap() {
            let event: Value = serde_json::from_str(line["message"].as_str().unwrap()).unwrap();
            let request = &event["message"]["params"]["request"]["url"];
            let ours =
                |url: &str| ["data:", "blob:", "about:", self.base.as_str()].iter().any(|known| url.starts_with(known));
            if event["message"]["method"] == "Network.requestWillBeSent" && !request.as_str().is_some_and(ours) {
                complaints.push(format!("a request to {request}"));
            }
        }
        complaints
    }

    fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let mut answer = self.agent.post(format!("{}{path}", self.session)).send_json(body).unwrap();
        let status = answer.status();
        let mut value: Value = answer.body_mut().with_config().limit(64 << 20).read_json().unwrap();
        assert!(status.is_success(), "{path} {body}: {value}; {HOW_TO_GET_IT}");
        value["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; its driver ends with the process.
        _ = self.agent.delete(&self.session).call();
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Decodes base64 (RFC 4648).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for value in text.bytes().filter_map(|letter| ALPHABET.iter().position(|known| *known == letter)) {
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
