use std::{fs, path::Path, time::Duration};

use lapin::{Connection, ConnectionProperties, options::QueueDeleteOptions};
use scylla::client::session_builder::SessionBuilder;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Engines, Node, node, unique};

/// Queues and a keyspace that are one test's own, and folders for its nodes. Dropped, all of it is removed.
#[derive(Debug)]
pub struct Ground {
    program: &'static str,
    engines: Engines,
    name: String,
    settings: String,
    partitions: u16,
    dir: TempDir,
}

impl Ground {
    /// Makes them with `foryou migrate`. `program` is the binary of foryou, `more` are settings besides the engines'.
    ///
    /// # Panics
    /// When it fails; the message says why.
    #[track_caller]
    pub fn new(program: &'static str, engines: &Engines, partitions: u16, more: &str) -> Self {
        let name = unique();
        let settings = format!("{}bus.partitions = {partitions}\n{more}", engines.settings(&name));
        let dir = tempfile::Builder::new().prefix("foryou-nodes").tempdir().expect("a temporary folder");
        let ground = Self { program, engines: engines.clone(), name, settings, partitions, dir };
        ground.run(&["migrate"]);
        ground
    }

    /// What its nodes are configured with, but for what is each one's own.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// What the names of exchanges and queues begin with; the keyspace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the nodes' folders are, logs among it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the nodes' folders where they are, for people to look at.
    pub fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }

    /// A node; one that was there before goes on under its name.
    ///
    /// # Panics
    /// When it does not start; the message says what it logged.
    #[track_caller]
    pub fn start(&self, name: &str, address: &str) -> Node {
        let settings = format!("{}cluster.node = {name:?}\n", self.settings);
        Node::start(self.program, &self.dir.path().join(name), address, &settings)
    }

    /// Runs a command of foryou, and gives its JSON.
    ///
    /// # Panics
    /// When it fails; the message says why.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Value {
        let data = self.dir.path().join("command");
        let config = self.dir.path().join("command.toml");
        fs::write(&config, format!("data.dir = {:?}\n{}", data.to_str().expect("a path in UTF-8"), self.settings))
            .expect("the settings are written");
        node::run(self.program, &config, words)
    }

    async fn remove(&self) -> Result<(), Box<dyn std::error::Error>> {
        let broker = Connection::connect(&self.engines.rabbitmq, ConnectionProperties::default()).await?;
        let channel = broker.create_channel().await?;
        let name = &self.name;
        let partitions = (0..self.partitions).map(|partition| format!("{name}.events.p{partition:02}"));
        for queue in partitions.chain([format!("{name}.quarantine"), format!("{name}.catalogue")]) {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        }
        for kind in ["events", "quarantine", "catalogue"] {
            channel.exchange_delete(format!("{name}.{kind}").into(), Default::default()).await?;
        }
        broker.close(200, "done".into()).await?;
        let mut store = SessionBuilder::new().known_node(&self.engines.cassandra);
        if let Some((user, password)) = self.engines.login {
            store = store.user(user, password);
        }
        let store = store.build().await?;
        store.query_unpaged(format!("DROP KEYSPACE IF EXISTS {name}"), ()).await?;
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Engines that speak TLS are a test's own, and go with it.
        if self.engines.ca.is_some() {
            return;
        }
        let removed = tokio::runtime::Runtime::new().map(|runtime| {
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), self.remove()).await })
        });
        // What a test leaves behind when it fails goes with the engines.
        if !matches!(removed, Ok(Ok(Ok(())))) && !std::thread::panicking() {
            eprintln!("{} is left behind: {removed:?}", self.name);
        }
    }
}
