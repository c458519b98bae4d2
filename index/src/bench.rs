//! Measures the engines on synthetic clustered vectors.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

use crate::error::IndexError;
use crate::index::{Index, IndexConfig};
use crate::synthetic::Clusters;
use crate::topk::Hit;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `"exact"` or `"graph"`.
    pub engine: &'static str,
    /// Items.
    pub n: usize,
    /// Components of a vector.
    pub dim: usize,
    /// Width of the graph search; 0 for a scan.
    pub ef: usize,
    /// Share of the true best 100 that were found.
    pub recall_100: f64,
    /// Microseconds per query, mean over queries on one thread, the best of three passes.
    pub us: f64,
    /// Seconds to build, on the given number of threads.
    pub build_s: f64,
    /// Bytes of memory per item.
    pub bytes_each: f64,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Numbers of items.
    pub sizes: Vec<usize>,
    /// Components of a vector.
    pub dim: usize,
    /// Widths of the graph search to measure.
    pub efs: Vec<usize>,
    /// No graph is built for more items than this.
    pub graph_up_to: usize,
    /// Queries per measurement.
    pub queries: usize,
    /// Threads of a build; 0 means all processors.
    pub threads: usize,
    /// Seed of the vectors.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let efs = vec![100, 160, 200, 300, 400];
        Self { sizes: vec![7_500, 100_000], dim: 64, efs, graph_up_to: usize::MAX, queries: 500, threads: 0, seed: 1 }
    }
}

/// Hits per query.
const K: usize = 100;

/// Measures a scan of every size and a graph at every size and width, one row each.
///
/// # Errors
/// If an index cannot be built.
pub fn run(settings: &Settings) -> Result<Vec<Row>, IndexError> {
    let mut rows = Vec::new();
    for n in &settings.sizes {
        measure(settings, *n, &mut rows)?;
    }
    Ok(rows)
}

fn measure(settings: &Settings, n: usize, rows: &mut Vec<Row>) -> Result<(), IndexError> {
    // About 100 items to a cluster, noise as long as the centre: cosines of .5 inside a cluster.
    let mut clusters = Clusters::new(settings.seed, settings.dim, (n / 100).max(10), 1.0);
    let items = clusters.draw_many(n);
    let priors = clusters.priors(n, 0.05);
    let queries = clusters.draw_many(settings.queries.max(1));

    let mut config = IndexConfig::new(settings.dim);
    config.exact_below = 0;
    config.graph.threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let index = Index::new(config)?;
    let start = Instant::now();
    index.set_priors(priors)?;
    index.upsert_all((0..).zip(&items))?;
    let mut row = Row {
        engine: "exact",
        n,
        dim: settings.dim,
        ef: 0,
        recall_100: 1.0,
        us: 0.0,
        build_s: start.elapsed().as_secs_f64(),
        bytes_each: index.stats().bytes as f64 / n.max(1) as f64,
    };
    row.us = time(&index, &queries, 0)?;
    rows.push(row.clone());
    if n == 0 || n > settings.graph_up_to {
        return Ok(());
    }

    let truth = search_all(&index, &queries, 0)?;
    let start = Instant::now();
    index.rebuild()?;
    row.engine = "graph";
    row.build_s = start.elapsed().as_secs_f64();
    row.bytes_each = index.stats().bytes as f64 / n as f64;
    for ef in &settings.efs {
        row.ef = *ef;
        row.recall_100 = recall(&search_all(&index, &queries, *ef)?, &truth);
        row.us = time(&index, &queries, *ef)?;
        rows.push(row.clone());
    }
    Ok(())
}

fn search_all(index: &Index, queries: &[Vec<f32>], ef: usize) -> Result<Vec<Vec<Hit>>, IndexError> {
    queries.iter().map(|query| index.search(query, K, ef, |_| true)).collect()
}

fn time(index: &Index, queries: &[Vec<f32>], ef: usize) -> Result<f64, IndexError> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        for query in queries {
            black_box(index.search(query, K, ef, |_| true)?);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / queries.len() as f64);
    }
    Ok(best)
}

/// The share of the true hits that were found.
pub(crate) fn recall(found: &[Vec<Hit>], truth: &[Vec<Hit>]) -> f64 {
    let (mut hits, mut all) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        let found: std::collections::HashSet<u32> = found.iter().map(|hit| hit.item).collect();
        hits += truth.iter().filter(|hit| found.contains(&hit.item)).count();
        all += truth.len();
    }
    if all == 0 { 1.0 } else { hits as f64 / all as f64 }
}
