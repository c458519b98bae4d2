//! `foryou train`: a new release from what is stored.

use std::path::PathBuf;

use foryou_schemas::Timestamp;
use foryou_trainer::Cancel;

use super::{Context, metrics, output};
use crate::{
    config::{Training, threads},
    training::train::{self, Settings},
};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Learn only from what happened before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Fewer passes and trees: a release that is there soon and predicts a little worse.
    #[arg(long)]
    quick: bool,
    /// Also write the rows that the ranker learned from.
    #[arg(long, value_name = "OUT.parquet", value_parser = output::parse)]
    rows: Option<PathBuf>,
}

/// Runs the command. The release serves from its end on.
pub fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    context.load_onnxruntime()?;
    let Training { threads: on, seed, window_days, max_rows } = &context.config.training;
    let settings = Settings {
        quick: args.quick,
        window_days: window_days.get(),
        max_rows: max_rows.count(),
        threads: threads(on.count()),
        seed: seed.get().into(),
        rows: args.rows,
        // For all nodes, where there are several.
        activate: false,
        ..Settings::default()
    };
    let data = &context.config.data.dir;
    let report = context.on_store(async |store| train::run(store, data, args.until, settings, Cancel::new()).await)?;
    context.on_shelf(async |shelf| {
        shelf.activate(&report.release).await?;
        for release in shelf.prune().await? {
            tracing::info!(release, "an old release is gone; models.keep says how many are kept");
        }
        Ok(())
    })?;
    context.print(&report, || {
        let train::Report { release, seconds, metrics: judged } = &report;
        let retrieval = metrics::table("retrieval", &judged["retrieval"], metrics::RETRIEVAL);
        let ranking = metrics::table("ranking", &judged["ranking"], metrics::RANKING);
        format!("release {release} is live, trained in {seconds:.0} s\n\n{retrieval}\n{ranking}")
    })
}
