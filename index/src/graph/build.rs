//! Builds a graph segment with hora.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use hora::core::ann_index::{ANNIndex, SerializableIndex};
use hora::core::metrics::Metric;
use hora::core::node::Node;
use hora::index::hnsw_idx::HNSWIndex;
use hora::index::hnsw_params::HNSWParams;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::distinct::Distinct;
use super::dump::{Expected, HoraGraph, parse};
use super::element::Element;
use super::layout::layout;
use super::{GraphParts, GraphSegment};
use crate::error::IndexError;
use crate::rows::Rows;
use crate::snapshot::Snapshot;

/// How graphs are built.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// Edges of a node on the upper levels; twice as many on the lowest. 4 to 128.
    pub neighbours: usize,
    /// Candidates that hora weighs for a node's edges. At least twice `neighbours`.
    pub ef_build: usize,
    /// Threads of a build; 0 means half of the processors, so that serving goes on beside it.
    pub threads: usize,
    /// Folder of hora's temporary dump (about 700 bytes per item of 64 components), or the system's own.
    pub scratch: Option<PathBuf>,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self { neighbours: 16, ef_build: 200, threads: 0, scratch: None }
    }
}

impl GraphConfig {
    pub(crate) fn check(&self) -> Result<(), IndexError> {
        if !(4..=128).contains(&self.neighbours) {
            return Err(IndexError::Config(format!("neighbours is {}: give 4 to 128", self.neighbours)));
        }
        if !(2 * self.neighbours..=10_000).contains(&self.ef_build) {
            let least = 2 * self.neighbours;
            return Err(IndexError::Config(format!("ef_build is {}: give {least} to 10000", self.ef_build)));
        }
        Ok(())
    }

    fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1)),
            threads => threads,
        }
    }
}

/// Builds a graph of everything in `snapshot`, which must not be empty. Heavy.
pub(crate) fn build(snapshot: &Snapshot, config: &GraphConfig) -> Result<GraphSegment, IndexError> {
    let distinct = Distinct::new(snapshot.dim(), snapshot.rows());
    // hora is order-sensitive; callers tend to add items sorted by something. The seed is fixed, but hora draws
    // its levels from the system, so no two builds are the same.
    let mut shuffled: Vec<u32> = (0..distinct.rows.len() as u32).collect();
    shuffled.shuffle(&mut StdRng::seed_from_u64(0));

    let node_prior =
        |node: u32| distinct.members[node as usize].iter().map(|item| snapshot.prior(*item)).fold(f32::MIN, f32::max);
    let vectors = augment(&distinct.rows, &shuffled, node_prior);
    let graph = hora_graph(&vectors, snapshot.dim() + EXTRA, config)?;
    drop(vectors);
    let layout = layout(&graph);

    let mut rows = Rows::with_capacity(snapshot.dim(), distinct.rows.len());
    let (mut members, mut extras, mut extra_offsets) = (Vec::new(), Vec::<u32>::new(), vec![0]);
    for hora in &layout.order {
        let node = shuffled[*hora as usize] as usize;
        rows.push_row(distinct.rows.row(node));
        members.push(distinct.members[node][0]);
        extras.extend(&distinct.members[node][1..]);
        extra_offsets.push(extras.len() as u32);
    }
    members.extend(extras);
    let (edge_offsets, edges, entries) = (layout.offsets, layout.edges, layout.entries);
    let parts = GraphParts { rows, members, extra_offsets, edge_offsets, edges, entries };
    GraphSegment::from_parts(parts).map_err(IndexError::Build)
}

/// Components that `augment` adds.
const EXTRA: usize = 2;

/// Reduces maximum inner product to nearest neighbour (Bachrach et al., 2014, "Speeding up the Xbox recommender"):
/// with `x' = (x, p, √(M² − |x|² − p²))` and `q' = (q, 1, 0)`, the nearest `x'` to `q'` is the best `<q, x> + p`.
///
/// `p` is the prior at the time of the build less the middle of all priors, which changes no order and keeps
/// `M`, the greatest norm, small. Later priors only change the walk, not the edges.
fn augment(rows: &Rows, order: &[u32], prior: impl Fn(u32) -> f32) -> Vec<f32> {
    let priors: Vec<f32> = order.iter().map(|node| prior(*node)).collect();
    let (low, high) = priors.iter().fold((f32::MAX, f32::MIN), |(low, high), p| (low.min(*p), high.max(*p)));
    let middle = low / 2.0 + high / 2.0;
    let square = |x: f32| f64::from(x) * f64::from(x);
    let squared_norm =
        |node: u32, prior: f32| rows.components(node as usize).map(square).sum::<f64>() + square(prior - middle);
    let norms: Vec<f64> = order.iter().zip(&priors).map(|(node, p)| squared_norm(*node, *p)).collect();
    let greatest = norms.iter().copied().fold(0.0, f64::max);

    let mut vectors = Vec::with_capacity(order.len() * (rows.dim() + EXTRA));
    for ((node, prior), norm) in order.iter().zip(&priors).zip(&norms) {
        vectors.extend(rows.components(*node as usize));
        vectors.push(prior - middle);
        vectors.push((greatest - norm).max(0.0).sqrt() as f32);
    }
    vectors
}

/// Builds, dumps and parses. hora panics on what it does not like; that becomes an error here.
fn hora_graph(vectors: &[f32], dim: usize, config: &GraphConfig) -> Result<HoraGraph, IndexError> {
    let scratch = config.scratch.clone().unwrap_or_else(std::env::temp_dir);
    // Without a name: a process that is ended in the middle of a build leaves nothing behind.
    let mut file = tempfile::tempfile_in(&scratch).map_err(|e| IndexError::io(&scratch, e))?;
    catch_unwind(AssertUnwindSafe(|| dump(vectors, dim, config, &file)))
        .unwrap_or_else(|_| Err("hora panicked (is the disk of the scratch folder full?)".into()))
        .map_err(IndexError::Build)?;
    let nodes = vectors.len() / dim;
    let expected = Expected {
        dim,
        nodes,
        neighbours: config.neighbours,
        neighbours0: 2 * config.neighbours,
        max_level: MAX_LEVEL,
        ef_build: config.ef_build,
        ef_search: config.ef_build,
        vectors,
    };
    file.rewind().map_err(|e| IndexError::io(&scratch, e))?;
    parse(BufReader::with_capacity(1 << 16, file), &expected).map_err(IndexError::Build)
}

/// hora halves the nodes from level to level.
const MAX_LEVEL: usize = 20;

/// Lets every other thread go first: on Linux, niceness is a thread's own.
fn give_way() {
    #[cfg(target_os = "linux")]
    // Where this is not allowed, the build is just not as polite.
    let _ = rustix::process::setpriority_process(None, 19);
}

fn dump(vectors: &[f32], dim: usize, config: &GraphConfig, file: &File) -> Result<(), String> {
    let nodes = vectors.len() / dim;
    let params = HNSWParams::<Element> {
        max_item: nodes,
        n_neighbor: config.neighbours,
        n_neighbor0: 2 * config.neighbours,
        max_level: MAX_LEVEL,
        ef_build: config.ef_build,
        ef_search: config.ef_build,
        has_deletion: false,
        e_type: Element(0.0),
    };
    let mut index = HNSWIndex::<Element, u32>::new(dim, &params);
    let mut vector = Vec::with_capacity(dim);
    for (node, components) in vectors.chunks_exact(dim).enumerate() {
        vector.clear();
        vector.extend(components.iter().map(|x| Element(*x)));
        index.add_node(&Node::new_with_idx(&vector, node as u32))?;
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.thread_count())
        .thread_name(|i| format!("index-build-{i}"))
        .start_handler(|_| give_way())
        .build()
        .map_err(|e| format!("no threads for the build: {e}"))?;
    pool.install(|| index.build(Metric::Euclidean))?;
    index.dump(&format!("/dev/fd/{}", file.as_raw_fd()))?;
    Ok(())
}
