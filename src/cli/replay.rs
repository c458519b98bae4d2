//! `foryou replay`: a log in time order through the real engine, each row predicted before its outcome is applied.

use std::{path::PathBuf, time::Duration};

use super::{Context, duration, metrics, output};
use crate::{
    config::threads,
    training::replay::{self, Settings},
};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The log: KuaiRand's columns as .parquet or .csv, or events as JSON lines in .jsonl.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Apply each outcome this much later than it happened.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    delay: Duration,
    /// Where the predictions go, one row each.
    #[arg(long, value_name = "OUT.parquet", value_parser = output::parse)]
    predictions: PathBuf,
    /// Predict with this release instead of the live one.
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    context.load_onnxruntime()?;
    context.bring_release(args.release.as_deref())?;
    let predictions = args.predictions.display().to_string();
    let settings = Settings {
        files: args.files,
        delay: args.delay,
        predictions: Some(args.predictions),
        release: args.release,
        threads: threads(context.config.training.threads.count()),
    };
    let data = &context.config.data.dir;
    let report = context.on_store(async |store| replay::run(store, data, settings).await)?;
    context.print(&report, || {
        let replay::Report { release, rows, judged, events, skipped, metrics: outcomes, seconds } = &report;
        let outcomes = metrics::table("outcome", outcomes, metrics::RANKING);
        format!(
            "release {release} predicted {rows} exposures of {events} events ({skipped} skipped) into {predictions} \
             ({seconds:.0} s);\non the {judged} after its training:\n\n{outcomes}"
        )
    })
}
