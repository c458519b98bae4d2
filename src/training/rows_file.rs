//! The ranker's rows as a Parquet file: for CatBoost, a notebook, or another model.

use std::path::Path;

use super::{
    log::Log,
    rows::{HEADS, Rows},
    table::{self, Column, Values},
};
use crate::features;

/// Writes all rows with their features by name and every outcome (`label_*`); the file's metadata names the columns that long
/// view and like are predicted without (`live_columns`).
pub fn write(path: &Path, log: &Log, rows: &Rows, metadata: &[(&str, String)]) -> anyhow::Result<()> {
    let mut columns = keys(log, rows);
    let names = features::names();
    for (n, name) in names.iter().enumerate() {
        let values = rows.features.iter().skip(n).step_by(names.len()).copied().collect();
        columns.push((name.clone(), Values::Float(values)));
    }
    for (name, outcome) in HEADS {
        let labels = rows.outcome(outcome).into_iter().map(|l| l as i32).collect();
        columns.push((format!("label_{name}"), Values::Integer(labels)));
    }
    columns.push(("label_watch_ms".to_owned(), Values::Float(rows.watch_ms())));
    let live: Vec<&str> = features::live_columns().into_iter().map(|n| names[n].as_str()).collect();
    let metadata = metadata.iter().cloned().chain([("live_columns", live.join(","))]);
    table::write(path, &columns, &metadata.collect::<Vec<_>>())
}

/// Who, what and when.
pub fn keys(log: &Log, rows: &Rows) -> Vec<Column> {
    let catalogue = log.live.catalogue();
    let user = |n: &u32| log.users[*n as usize].as_str().to_owned();
    let video = |n: &u32| catalogue.id(*n).map_or_else(String::new, |id| id.as_str().to_owned());
    vec![
        ("user".to_owned(), Values::Text(rows.users.iter().map(user).collect())),
        ("video".to_owned(), Values::Text(rows.videos.iter().map(video).collect())),
        ("at".to_owned(), Values::Time(rows.at_ms.clone())),
    ]
}
