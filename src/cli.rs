//! The command line: one file per subcommand.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use foryou_actors::ports::store::FeatureStore;

use crate::{
    config::{Config, StoreKind},
    engines,
    models::{ModelError, runtime, shelf::Shelf},
    telemetry,
};

pub mod bench;
pub mod config;
pub mod duration;
pub mod evaluate;
pub mod import;
pub mod keys;
pub mod metrics;
pub mod migrate;
pub mod nodes;
pub mod output;
pub mod quarantine;
pub mod recommend;
pub mod release;
pub mod replay;
pub mod serve;
pub mod train;

/// The real-time "For You" feed server for short video.
#[derive(Debug, Parser)]
#[command(name = "foryou", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration (TOML); FORYOU__SECTION__KEY in the environment overrides it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object on standard output; progress and logs stay on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Args),
    /// Bring data into the store.
    Import(import::Import),
    /// Make a new release from what is stored.
    Train(train::Args),
    /// Judge the live release, and the baselines that it has to beat, on what came after it was cut.
    Evaluate(evaluate::Args),
    /// Send a log through the engine in time order, each exposure predicted before its outcome is known.
    Replay(replay::Args),
    /// Make feeds for many people at once, without exploration: one JSON line a person, with or without --json.
    Recommend(recommend::Args),
    /// Look at model releases, and choose which one is live.
    #[command(subcommand)]
    Release(release::Action),
    /// Create what the store and the bus need: keyspace, tables, queues.
    Migrate,
    /// List the nodes that run, and what each holds.
    Nodes,
    /// Look at events that could not be applied; replay or discard them.
    #[command(subcommand)]
    Quarantine(quarantine::Action),
    /// Make and revoke keys for servers; make passwords for the console.
    #[command(subcommand)]
    Keys(keys::Action),
    /// Measure: one JSON object with machine, versions and settings.
    #[command(subcommand)]
    Bench(bench::Benchmark),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Action),
}

/// What every subcommand is told.
#[derive(Debug)]
pub struct Context {
    /// What is in force.
    pub config: Config,
    /// Whether standard output takes one JSON object instead of text.
    pub json: bool,
}

impl Context {
    /// Does work on the feature store, which one process at a time can have open.
    pub fn on_store<T>(&self, work: impl AsyncFnOnce(&dyn FeatureStore) -> anyhow::Result<T>) -> anyhow::Result<T> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let store = engines::open_store(&self.config).await?;
            work(store.as_ref()).await
        })
    }

    /// Does work on the releases: where nodes share a store, those of all of them.
    pub fn on_shelf<T>(&self, work: impl AsyncFnOnce(&dyn Shelf) -> anyhow::Result<T>) -> anyhow::Result<T> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let shelf = engines::open_shelf(&self.config).await?;
            work(shelf.as_ref()).await
        })
    }

    /// Brings the active release, and the one that is named, to this machine's folder, where they lie in a store that nodes share.
    pub fn bring_release(&self, name: Option<&str>) -> anyhow::Result<()> {
        if self.config.store.kind == StoreKind::Embedded {
            return Ok(());
        }
        self.on_shelf(async |shelf| {
            shelf.sync().await?;
            if let Some(name) = name {
                shelf.fetch(name).await?;
            }
            Ok(())
        })
    }

    /// Refuses what must not happen while servers apply events to a store that they share.
    pub fn without_nodes(&self, what: &str) -> anyhow::Result<()> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let Some(cluster) = engines::open_cluster(&self.config).await? else { return Ok(()) };
            let nodes = cluster.nodes().await?;
            let names: Vec<&str> = nodes.iter().map(|node| &*node.name).collect();
            anyhow::ensure!(
                nodes.is_empty(),
                "{what} changes people's sessions behind the back of the servers that run ({}); stop them first (one that was killed \
                 is on the list for some seconds more), or send events to the bus or to POST /v1/events",
                names.join(", ")
            );
            Ok(())
        })
    }

    /// Loads ONNX Runtime as configured: what needs it should say so before it begins.
    pub fn load_onnxruntime(&self) -> Result<(), ModelError> {
        runtime::init(self.config.models.library())
    }

    /// Prints the outcome of a command: `value` as JSON, or `text` for people.
    pub fn print(&self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        use std::io::Write;
        let line = if self.json { serde_json::to_string(value)? } else { text() };
        writeln!(std::io::stdout().lock(), "{}", line.trim_end())?;
        Ok(())
    }
}

/// Runs the command that this process was started with. Exit codes: 0 done, 1 failed, 2 usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("foryou: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(cli.config.as_deref())?;
    // Dropped last: what was recorded until then is sent.
    let _traces = telemetry::init(&config)?;
    let context = Context { config, json: cli.json };
    match cli.command {
        Command::Serve(args) => serve::run(args, context),
        Command::Import(arguments) => import::run(arguments, &context),
        Command::Train(args) => train::run(args, &context),
        Command::Evaluate(args) => evaluate::run(args, &context),
        Command::Replay(args) => replay::run(args, &context),
        Command::Recommend(args) => recommend::run(args, &context),
        Command::Release(action) => release::run(action, &context),
        Command::Migrate => migrate::run(&context),
        Command::Nodes => nodes::run(&context),
        Command::Quarantine(action) => quarantine::run(action, &context),
        Command::Keys(action) => keys::run(action, &context),
        Command::Bench(benchmark) => bench::run(benchmark, &context),
        Command::Config(action) => config::run(action, &context),
    }
}

#[cfg(test)]
mod tests;
