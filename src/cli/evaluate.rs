//! `foryou evaluate`: the live release against baselines, on what came after it was cut.

use std::path::PathBuf;

use foryou_schemas::Timestamp;

use super::{Context, metrics, output};
use crate::{
    config::threads,
    training::evaluate::{self, Settings},
};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Judge only what happened before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Judge this release instead of the live one.
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// Also write the rows that the ranker is judged on.
    #[arg(long, value_name = "OUT.parquet", value_parser = output::parse)]
    rows: Option<PathBuf>,
    /// Judge CatBoost on the same rows, trained on these (from `foryou train --rows`); needs Python with catboost and pyarrow.
    #[arg(long, value_name = "TRAIN.parquet", requires = "rows")]
    catboost: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    context.load_onnxruntime()?;
    context.bring_release(args.release.as_deref())?;
    let settings = Settings {
        release: args.release,
        until: args.until,
        rows: args.rows,
        catboost: args.catboost,
        threads: threads(context.config.training.threads.count()),
        ..Settings::default()
    };
    let data = &context.config.data.dir;
    let report = context.on_store(async |store| evaluate::run(store, data, settings).await)?;
    context.print(&report, || {
        let evaluate::Report { release, from, retrieval, ranking, catboost, seconds, .. } = &report;
        let retrieval = metrics::table("retrieval", retrieval, metrics::RETRIEVAL);
        let ranking = metrics::table("ranking", ranking, metrics::RANKING);
        let catboost = match catboost["absent"].as_str() {
            Some(reason) => format!("no CatBoost: {reason}\n"),
            None if catboost.is_null() => String::new(),
            None => metrics::table("catboost", catboost, &["auc", "gauc"]),
        };
        format!("release {release} on what came from {from} on ({seconds:.0} s)\n\n{retrieval}\n{ranking}\n{catboost}")
    })
}
