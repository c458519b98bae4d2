//! `foryou replay`: a log in time order, through the real engine, each row predicted before its outcome is applied; or, with `--live`, to a
//! running server.

use std::{path::PathBuf, time::Duration};

use super::{Context, duration, metrics, output, serve::stop_signal};
use crate::{
    config::threads,
    crowd::{self, Server},
    training::replay::{self, Settings},
};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The log: KuaiRand's columns as .parquet or .csv, or events as JSON lines in .jsonl.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Apply each outcome this much later than it happened.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse, conflicts_with = "live")]
    delay: Duration,
    /// Where the predictions go, one row each.
    #[arg(long, value_name = "OUT.parquet", value_parser = output::parse, required_unless_present = "live", conflicts_with = "live")]
    predictions: Option<PathBuf>,
    /// Predict with this release instead of the live one.
    #[arg(long, value_name = "NAME", conflicts_with = "live")]
    release: Option<String>,
    /// Send the events to a running server instead, as if they happened now, and ask for feeds as their people would.
    #[arg(long)]
    live: bool,
    /// With --live: how many seconds of the log pass in one.
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed, requires = "live", conflicts_with = "predictions")]
    speed: f64,
    /// With --live: this much of the log's end only; `day` is 1d.
    #[arg(long, value_name = "DURATION|day", value_parser = last, requires = "live", conflicts_with = "predictions")]
    last: Option<Duration>,
    /// With --live: the server.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        requires = "live",
        conflicts_with = "predictions"
    )]
    url: String,
    /// With --live: a key with the scopes events and feed, where the server asks for one. Best given as FORYOU_KEY.
    #[arg(long, value_name = "KEY", requires = "live", conflicts_with = "predictions")]
    key: Option<String>,
    /// With --live: begin again at the end, until stopped.
    #[arg(long = "loop", requires = "live", conflicts_with = "predictions")]
    repeat: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "write a number, as 1, 60 or 0.5".to_owned())?;
    let range = 0.001..=1e6;
    if range.contains(&speed) { Ok(speed) } else { Err("write a number from 0.001 to 1000000".to_owned()) }
}

fn last(text: &str) -> Result<Duration, String> {
    if text == "day" { duration::parse("1d") } else { duration::parse(text) }
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    if args.live { live(args, context) } else { predict(args, context) }
}

fn predict(args: Args, context: &Context) -> anyhow::Result<()> {
    let Some(predictions) = args.predictions else { anyhow::bail!("say where the predictions go, with --predictions") };
    context.load_onnxruntime()?;
    context.bring_release(args.release.as_deref())?;
    let shown = predictions.display().to_string();
    let settings = Settings {
        files: args.files,
        delay: args.delay,
        predictions: Some(predictions),
        release: args.release,
        threads: threads(context.config.training.threads.count()),
    };
    let data = &context.config.data.dir;
    let report = context.on_store(async |store| replay::run(store, data, settings).await)?;
    context.print(&report, || {
        let replay::Report { release, rows, judged, events, skipped, metrics: outcomes, seconds } = &report;
        let outcomes = metrics::table("outcome", outcomes, metrics::RANKING);
        format!(
            "release {release} predicted {rows} exposures of {events} events ({skipped} skipped) into {shown} \
             ({seconds:.0} s);\non the {judged} after its training:\n\n{outcomes}"
        )
    })
}

fn live(args: Args, context: &Context) -> anyhow::Result<()> {
    let key = args.key.or_else(|| std::env::var("FORYOU_KEY").ok().filter(|key| !key.is_empty()));
    let settings = crowd::Settings {
        files: args.files,
        speed: args.speed,
        last: args.last,
        server: Server::new(&args.url, key.as_deref())?,
        repeat: args.repeat,
    };
    let summary = tokio::runtime::Runtime::new()?.block_on(async { crowd::run(settings, stop_signal()?).await })?;
    context.print(&summary, || {
        let crowd::Summary { passes, people, events, accepted, duplicates, rejected, retries, .. } = &summary;
        let crowd::Summary { feeds, feeds_failed, skipped, p50, p99, seconds, .. } = &summary;
        format!(
            "{people} people sent {events} events in {seconds:.0} s ({passes} times through the log): {accepted} accepted, {duplicates} \
             known from a try before, {rejected} rejected; {retries} batches were sent again, {skipped} lines of the log skipped.\n\
             Durable after {p50:.1} ms (p50) and {p99:.1} ms (p99) from when each was due. Feeds: {feeds} served, {feeds_failed} not."
        )
    })
}
