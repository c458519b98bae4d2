use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::Engines;

/// One of the two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// RabbitMQ.
    Rabbitmq,
    /// Cassandra, in ScyllaDB's place.
    Cassandra,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Rabbitmq => "rabbitmq",
            Self::Cassandra => "cassandra",
        }
    }
}

/// Engines of one test alone, in a folder of its own on free ports, that it may disturb as it likes. Dropped, they are stopped; so
/// they are when the test's process ends otherwise. What Cassandra acknowledges is on its disk (`--synced`).
///
/// Every method blocks until the engine has done it and panics when it cannot: `kill`, `freeze` and `thaw` take milliseconds,
/// `alarm` a third of a second, `stop` and `start` seconds. A test whose own client must go on meanwhile calls them in
/// `spawn_blocking`, or has a runtime of several threads.
#[derive(Debug)]
pub struct Private {
    engines: Engines,
    dir: TempDir,
}

impl Private {
    /// Starts some engines, and waits until they answer.
    ///
    /// # Panics
    /// When one cannot be started; the message says why.
    #[track_caller]
    pub fn up(engines: &[Engine]) -> Self {
        Self::up_with(engines, &[])
    }

    /// As `up`; Cassandra asks for user and password.
    ///
    /// # Panics
    /// When one cannot be started; the message says why.
    #[track_caller]
    pub fn up_with_login(engines: &[Engine]) -> Self {
        let mut private = Self::up_with(engines, &["--auth"]);
        private.engines.login = Some(("cassandra", "cassandra"));
        private
    }

    /// As `up`; both speak TLS alone, with the key and certificate (for 127.0.0.1) in the PEM file `identity`. `ca` is whom clients trust.
    ///
    /// # Panics
    /// When one cannot be started; the message says why.
    #[track_caller]
    pub fn up_with_tls(engines: &[Engine], identity: &Path, ca: &Path) -> Self {
        let mut private = Self::up_with(engines, &["--tls", identity.to_str().expect("a path in UTF-8")]);
        private.engines.ca = Some(ca.to_owned());
        private
    }

    #[track_caller]
    fn up_with(engines: &[Engine], options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("foryou-engines").tempdir().expect("a temporary folder");
        let owner = std::process::id().to_string();
        let mut words = vec!["up"];
        words.extend(engines.iter().map(|engine| engine.name()));
        words.extend(["--port-base", "free", "--owner", &owner, "--synced"]);
        words.extend(options);
        let engines = Engines { rabbitmq: String::new(), cassandra: String::new(), login: None, ca: None };
        let mut private = Self { engines, dir };
        private.run(&words);
        let told = private.run(&["env", "test"]);
        let value = |name: &str| {
            let word = told.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            word.unwrap_or_else(|| panic!("no {name} in {told}")).to_owned()
        };
        private.engines.rabbitmq = value("FORYOU_TEST_RABBITMQ");
        private.engines.cassandra = value("FORYOU_TEST_CASSANDRA");
        private
    }

    /// Where they answer.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// Ends an engine with signal 9.
    #[track_caller]
    pub fn kill(&self, engine: Engine) {
        self.run(&["kill", engine.name()]);
    }

    /// Stops an engine in order.
    #[track_caller]
    pub fn stop(&self, engine: Engine) {
        self.run(&["stop", engine.name()]);
    }

    /// Starts an engine again that was killed or stopped, and waits until it answers.
    #[track_caller]
    pub fn start(&self, engine: Engine) {
        self.run(&["start", engine.name()]);
    }

    /// Halts an engine: its connections stay open, and nothing is answered.
    #[track_caller]
    pub fn freeze(&self, engine: Engine) {
        self.run(&["freeze", engine.name()]);
    }

    /// Lets a frozen engine go on.
    #[track_caller]
    pub fn thaw(&self, engine: Engine) {
        self.run(&["thaw", engine.name()]);
    }

    /// RabbitMQ's memory alarm: while it is on, publishers are blocked.
    #[track_caller]
    pub fn alarm(&self, on: bool) {
        self.run(&["alarm", if on { "on" } else { "off" }]);
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let output = command(self.dir.path(), words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/engines.sh {}: {said}", words.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let output = command(self.dir.path(), &["down"]);
        // A panic in a drop during a panic would hide the first one.
        if !output.status.success() && !std::thread::panicking() {
            panic!("the engines could not be stopped: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn command(dir: &Path, words: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/engines.sh");
    Command::new(script).args(words).arg("--dir").arg(dir).output().expect("scripts/engines.sh runs")
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::Duration,
    };

    use super::*;

    /// What the broker answers to the protocol header; nothing when it is away or frozen.
    fn answer(engines: &Engines) -> Option<u8> {
        let (_, address) = engines.rabbitmq.rsplit_once('@')?;
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        stream.write_all(b"AMQP\0\0\x09\x01").ok()?;
        let mut first = [0];
        stream.read_exact(&mut first).ok()?;
        Some(first[0])
    }

    #[test]
    fn real_engines_of_a_test_are_disturbed_and_stopped_with_it() {
        let private = Private::up(&[Engine::Rabbitmq]);
        let engines = private.engines().clone();
        assert_eq!(answer(&engines), Some(1));
        private.freeze(Engine::Rabbitmq);
        assert_eq!(answer(&engines), None);
        private.thaw(Engine::Rabbitmq);
        private.alarm(true);
        private.alarm(false);
        private.kill(Engine::Rabbitmq);
        assert_eq!(answer(&engines), None);
        private.start(Engine::Rabbitmq);
        assert_eq!(answer(&engines), Some(1));
        let failed = std::panic::catch_unwind(|| private.thaw(Engine::Cassandra)).unwrap_err();
        assert!(failed.downcast_ref::<String>().unwrap().contains("cassandra does not run"));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _owned = private;
            panic!("a failed test");
        }));
        assert!(ended.is_err());
        assert_eq!(answer(&engines), None);
    }

    #[test]
    fn settings_name_host_and_login_apart() {
        let engines = Engines {
            rabbitmq: "amqp://foryou:secret@127.0.0.1:1234".into(),
            cassandra: "127.0.0.1:5678".into(),
            login: None,
            ca: None,
        };
        let settings = engines.settings("t_1");
        for line in [
            r#"bus.rabbitmq.url = "amqp://127.0.0.1:1234""#,
            r#"bus.rabbitmq.password = "secret""#,
            r#"store.scylla.keyspace = "t_1""#,
        ] {
            assert!(settings.contains(line), "{settings}");
        }
    }
}
