use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::Client;

/// How long a server may take to start, and to stop in order.
const PATIENCE: Duration = Duration::from_secs(60);

/// `foryou serve` as a process of its own, in a folder of its own, with the log beside it. Dropped, it is killed.
#[derive(Debug)]
pub struct Node {
    child: Child,
    client: Client,
    address: String,
    log: PathBuf,
    running: bool,
}

impl Deref for Node {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Node {
    /// Starts `program` (the binary of foryou) in `dir` with these settings (TOML), and waits until it answers.
    ///
    /// # Panics
    /// When it does not start; the message says what it logged.
    #[track_caller]
    pub fn start(program: &str, dir: &Path, address: &str, settings: &str) -> Self {
        let mut node = Self::launch(program, dir, address, settings);
        node.wait_for("/healthz");
        node
    }

    /// As `start`, and does not wait.
    ///
    /// # Panics
    /// When the folder cannot be written, or the program not be run.
    #[track_caller]
    pub fn launch(program: &str, dir: &Path, address: &str, settings: &str) -> Self {
        fs::create_dir_all(dir).expect("a folder");
        let settings = format!(
            "data.dir = {:?}\nserver = {{ bind = {address:?}, workers = 2 }}\n{settings}",
            dir.to_str().expect("a path in UTF-8")
        );
        let (config, log) = (dir.join("foryou.toml"), dir.join("foryou.log"));
        fs::write(&config, settings).expect("the settings are written");
        let said = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut command = foryou(program, &config);
        let child = command.arg("serve").env("FORYOU__LOG__FORMAT", "text").stderr(said).stdout(Stdio::null());
        let child = child.spawn().expect("foryou runs");
        let client = Client::new(address, Duration::from_secs(10));
        Self { child, client, address: address.to_owned(), log, running: true }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until a path is answered with 200.
    ///
    /// # Panics
    /// When it is not, or the process ends.
    #[track_caller]
    pub fn wait_for(&mut self, path: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.get(path);
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let ended = self.child.try_wait().expect("a process of ours");
            if ended.is_some() || Instant::now() > until {
                panic!("{} is not ready (ended: {ended:?}): {answer:?}\n{}", self.address, self.log_end());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it with signal 9.
    ///
    /// # Panics
    /// When that is not possible.
    #[track_caller]
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
        self.running = false;
    }

    /// Tells it to stop in order (TERM), and waits until it has.
    ///
    /// # Panics
    /// When it does not, or not in order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.ask_to_stop();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("a process of ours") {
                self.running = false;
                assert!(ExitStatus::success(&status), "{status}\n{}", self.log_end());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not stop\n{}", self.address, self.log_end());
    }

    fn ask_to_stop(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits until it answers; `false` where it ends instead.
    ///
    /// # Panics
    /// When it does neither.
    #[track_caller]
    pub fn is_up(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.client.get("/healthz").is_err() {
            if self.child.try_wait().expect("a process of ours").is_some() {
                self.running = false;
                return false;
            }
            assert!(Instant::now() < until, "{} neither answers nor ends\n{}", self.address, self.log_end());
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Waits until it ends by itself, and says how.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a process of ours") {
                self.running = false;
                return status;
            }
            assert!(Instant::now() < until, "{} does not end\n{}", self.address, self.log_end());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.running {
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

/// The program with a configuration, and nothing of the surroundings.
fn foryou(program: &str, config: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FORYOU__")) {
        command.env_remove(name);
    }
    command.arg("--config").arg(config);
    command
}

/// Runs a command of foryou with `--json`, and gives what it answered.
///
/// # Panics
/// When it fails; the message says why.
#[track_caller]
pub fn run(program: &str, config: &Path, words: &[&str]) -> Value {
    let output = foryou(program, config).args(words).arg("--json").output().expect("foryou runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "foryou {}: {said}", words.join(" "));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("foryou {}: {error}", words.join(" ")))
}

/// A loopback address that nobody listens at, outside the range from which connections get their own port: a server that was
/// killed can have it again.
///
/// # Panics
/// When none is found.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 9_000;
    for _ in 0..1_000 {
        let port = 10_000 + first.wrapping_add(NEXT.fetch_add(1, Relaxed).wrapping_mul(7)) % 9_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
    panic!("found no free port between 10000 and 19000")
}
