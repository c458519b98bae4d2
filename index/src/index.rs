//! The whole index: one published snapshot, and the only place where it changes.

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::error::IndexError;
use crate::graph::{self, GraphConfig};
use crate::rows::Line;
use crate::snapshot::{Scoring, Snapshot};
use crate::topk::Hit;
use crate::vector::{check_item, check_prior, check_vector};
use crate::{bits::Bits, format};

/// A width of the graph search with which .95 of the true best 100 are found among 100,000 hard synthetic vectors
/// ([`crate::bench`]).
pub const DEFAULT_EF: usize = 300;

/// Components that differ by less are the same: a model that computes a vector again, in another batch, rounds otherwise.
pub const ROUNDING: f32 = 1e-6;

/// What an index is made with.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Components of every vector and query.
    pub dim: usize,
    /// With fewer items than this, `rebuild` makes no graph: a scan is about as fast as a walk of [`DEFAULT_EF`] and misses
    /// nothing. In the server, whose caches hold more than the index, the two meet at 16,000 items; a scan of 39,000 takes
    /// twice the time of a walk (`foryou bench feed --videos`).
    pub exact_below: usize,
    /// How graphs are built.
    pub graph: GraphConfig,
}

impl IndexConfig {
    /// The defaults for vectors of `dim` components.
    pub fn new(dim: usize) -> Self {
        Self { dim, exact_below: 20_000, graph: GraphConfig::default() }
    }
}

/// What the index holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IndexStats {
    /// Components of a vector.
    pub dim: usize,
    /// Items that can be found.
    pub items: usize,
    /// Of these, in the exact segment.
    pub exact_items: usize,
    /// Of these, in the graph segment.
    pub graph_items: usize,
    /// Members of the graph that were removed or replaced since it was built.
    pub graph_dead: usize,
    /// Memory of vectors, edges, priors and tables.
    pub bytes: usize,
    /// A rebuild runs.
    pub rebuilding: bool,
    /// So much has changed since the last rebuild that another would pay.
    pub wants_rebuild: bool,
}

/// Maximum inner product search over items that change while searches go on.
///
/// Searches read one immutable snapshot and never wait. Updates are serialised among themselves, are visible to
/// every search that starts after they return, and cost microseconds; [`rebuild`](Self::rebuild) is the heavy one.
pub struct Index {
    config: IndexConfig,
    current: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
}

/// What updates share: whoever holds the lock may publish.
#[derive(Default)]
struct Writer {
    /// While a rebuild runs: the items changed since it began.
    touched: Option<HashSet<u32>>,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    /// [`IndexError::Config`] if the dimension or the graph's parameters are out of range.
    pub fn new(config: IndexConfig) -> Result<Self, IndexError> {
        let snapshot = Snapshot::new(config.dim);
        Self::with_snapshot(config, snapshot)
    }

    /// Reads an index that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Corrupt`] or [`IndexError::Version`] for the file,
    /// [`IndexError::Dimension`] if it is for another dimension than `config`.
    pub fn load(path: &Path, config: IndexConfig) -> Result<Self, IndexError> {
        Self::loaded(format::load(path, None)?, config)
    }

    /// Reads an index whose items have other numbers now: item `n` of the file becomes item `number(n)`, or is left out
    /// where that is `None`. Priors are left out.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`IndexError::Corrupt`] also if two items get the same number.
    pub fn load_renumbered(
        path: &Path,
        config: IndexConfig,
        number: impl Fn(u32) -> Option<u32>,
    ) -> Result<Self, IndexError> {
        Self::loaded(format::load(path, Some(&number))?, config)
    }

    fn loaded(snapshot: Snapshot, config: IndexConfig) -> Result<Self, IndexError> {
        if snapshot.dim() != config.dim {
            return Err(IndexError::Dimension { expected: config.dim, got: snapshot.dim() });
        }
        Self::with_snapshot(config, snapshot)
    }

    fn with_snapshot(config: IndexConfig, snapshot: Snapshot) -> Result<Self, IndexError> {
        if !(1..=4096).contains(&config.dim) {
            return Err(IndexError::Config(format!("dim is {}: give 1 to 4096", config.dim)));
        }
        config.graph.check()?;
        Ok(Self { config, current: ArcSwap::from_pointee(snapshot), writer: Mutex::default() })
    }

    /// Writes the index to a file, whole or not at all (a temporary file beside it is renamed).
    ///
    /// # Errors
    /// [`IndexError::Io`] if the folder cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), IndexError> {
        format::save(&self.current.load_full(), path)
    }

    /// The best `k` items by `<query, vector> + prior` among those for which `filter` is true, best first; equal
    /// scores come by ascending id.
    ///
    /// `ef` is the width of the graph search, at least `k`: more finds more and costs more ([`DEFAULT_EF`]).
    /// Fewer than `k` hits mean that no more items pass the filter. The filter is called for promising items
    /// only, possibly more than once for one item.
    ///
    /// # Errors
    /// [`IndexError::Dimension`] or [`IndexError::OutOfRange`] if the query is not a finite vector of `dim` components.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        filter: impl Fn(u32) -> bool,
    ) -> Result<Vec<Hit>, IndexError> {
        check_vector(query, self.config.dim)?;
        let snapshot = self.current.load();
        let scoring = Scoring { query: &Line::pad(query), priors: snapshot.priors(), weight: 1.0 };
        Ok(snapshot.search(&scoring, k, ef, &filter))
    }

    /// The best `k` items by inner product with the vector of `item`, without priors and without `item` itself;
    /// `None` if the item is not in the index.
    pub fn similar(&self, item: u32, k: usize, ef: usize, filter: impl Fn(u32) -> bool) -> Option<Vec<Hit>> {
        let snapshot = self.current.load();
        let scoring = Scoring { query: snapshot.row(item)?, priors: &[], weight: 0.0 };
        Some(snapshot.search(&scoring, k, ef, &|other| other != item && filter(other)))
    }

    /// The vector of an item.
    pub fn vector(&self, item: u32) -> Option<Vec<f32>> {
        let snapshot = self.current.load();
        let row = snapshot.row(item)?;
        Some(row.iter().flat_map(|line| line.0).take(self.config.dim).collect())
    }

    /// The prior of an item; 0 where none was set.
    pub fn prior(&self, item: u32) -> f32 {
        self.current.load().prior(item)
    }

    /// Whether the item can be found.
    pub fn contains(&self, item: u32) -> bool {
        self.current.load().row(item).is_some()
    }

    /// Adds an item or replaces its vector, unless the two differ by rounding only ([`ROUNDING`]): then it stays where it
    /// is. Its prior stays as it was (0 at first).
    ///
    /// # Errors
    /// [`IndexError::Item`], [`IndexError::Dimension`] or [`IndexError::OutOfRange`]; the index is then unchanged.
    pub fn upsert(&self, item: u32, vector: &[f32]) -> Result<(), IndexError> {
        self.upsert_all([(item, vector)])
    }

    /// Adds or replaces many items at once: a search sees all of them or none.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert), for the first item that is refused; the index is then unchanged.
    pub fn upsert_all<V: AsRef<[f32]>>(&self, items: impl IntoIterator<Item = (u32, V)>) -> Result<(), IndexError> {
        self.update(|snapshot, touched| {
            for (item, vector) in items {
                check_item(item)?;
                check_vector(vector.as_ref(), self.config.dim)?;
                let lines = Line::pad(vector.as_ref());
                if !snapshot.row(item).is_some_and(|known| nearly_equal(known, &lines)) {
                    snapshot.upsert(item, &lines);
                    touched.push(item);
                }
            }
            Ok(())
        })
    }

    /// Removes an item; false if it was not there. Its prior stays.
    pub fn remove(&self, item: u32) -> bool {
        let mut there = false;
        let done = self.update(|snapshot, touched| {
            there = snapshot.remove(item);
            touched.push(item);
            Ok(())
        });
        done.is_ok() && there
    }

    /// Replaces all priors: `priors[item]`; items beyond the end have prior 0.
    ///
    /// # Errors
    /// [`IndexError::OutOfRange`] for the first prior that is refused; the index is then unchanged.
    pub fn set_priors(&self, priors: Vec<f32>) -> Result<(), IndexError> {
        for (item, prior) in priors.iter().enumerate() {
            check_prior(item, *prior)?;
        }
        let priors = Arc::new(priors);
        self.update(|snapshot, _| {
            snapshot.set_priors(priors);
            Ok(())
        })
    }

    /// Replaces the prior of one item, which may be added later. Copies the flat array of priors: for many items
    /// use [`set_priors`](Self::set_priors).
    ///
    /// # Errors
    /// [`IndexError::Item`] or [`IndexError::OutOfRange`]; the index is then unchanged.
    pub fn set_prior(&self, item: u32, prior: f32) -> Result<(), IndexError> {
        check_item(item)?;
        check_prior(item as usize, prior)?;
        self.update(|snapshot, _| {
            snapshot.set_prior(item, prior);
            Ok(())
        })
    }

    /// What the index holds now.
    pub fn stats(&self) -> IndexStats {
        let rebuilding = self.lock().touched.is_some();
        let snapshot = self.current.load();
        let (exact_items, graph_items) = (snapshot.exact().len(), snapshot.graph_len());
        let graph_dead = snapshot.graph().map_or(0, |graph| graph.dead.ones());
        let wants_graph = snapshot.len() >= self.config.exact_below;
        let exact_is_long = wants_graph && exact_items >= self.config.exact_below.max(graph_items / 10);
        IndexStats {
            dim: snapshot.dim(),
            items: snapshot.len(),
            exact_items,
            graph_items,
            graph_dead,
            bytes: snapshot.bytes(),
            rebuilding,
            wants_rebuild: exact_is_long || graph_dead * 4 > graph_items.max(1),
        }
    }

    /// Merges both segments into a new graph segment and swaps it in. Heavy (see `build_s` of [`crate::bench`]):
    /// call it on a thread of its own. Searches and updates go on; what changes meanwhile is carried over.
    ///
    /// With fewer items than `exact_below`, all go into the exact segment instead.
    ///
    /// # Errors
    /// [`IndexError::RebuildRunning`] if one runs, [`IndexError::Build`] or [`IndexError::Io`] if it fails; the
    /// index then serves on as it was.
    pub fn rebuild(&self) -> Result<(), IndexError> {
        let running = RebuildRunning::start(self)?;
        let base = self.current.load_full();
        let rebuilt = if base.len() < self.config.exact_below || base.len() == 0 {
            exact_only(&base)
        } else {
            let graph = graph::build(&base, &self.config.graph)?;
            let dead = Bits::new(graph.members().len());
            Snapshot::from_graph(base.dim(), graph, dead, Arc::clone(base.priors()))
        };
        running.publish(rebuilt);
        Ok(())
    }

    /// Applies `change` to a clone of the snapshot and publishes it, or leaves all as it was if `change` fails.
    /// `change` reports the items whose vectors it changed.
    fn update(
        &self,
        change: impl FnOnce(&mut Snapshot, &mut Vec<u32>) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let mut writer = self.lock();
        let mut snapshot = Snapshot::clone(&self.current.load());
        let mut changed = Vec::new();
        change(&mut snapshot, &mut changed)?;
        if let Some(touched) = &mut writer.touched {
            touched.extend(changed);
        }
        self.current.store(Arc::new(snapshot));
        Ok(())
    }

    /// The writer's lock. A panic of another holder cannot have left a half-made state: snapshots are published whole.
    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nearly_equal(a: &[Line], b: &[Line]) -> bool {
    a.iter().flat_map(|line| line.0).zip(b.iter().flat_map(|line| line.0)).all(|(a, b)| (a - b).abs() < ROUNDING)
}

fn exact_only(base: &Snapshot) -> Snapshot {
    let mut rebuilt = Snapshot::new(base.dim());
    for (item, row) in base.rows() {
        rebuilt.upsert(item, row);
    }
    rebuilt
}

/// Marks a rebuild as running until it is published or given up.
struct RebuildRunning<'a>(&'a Index);

impl<'a> RebuildRunning<'a> {
    fn start(index: &'a Index) -> Result<Self, IndexError> {
        let mut writer = index.lock();
        if writer.touched.is_some() {
            return Err(IndexError::RebuildRunning);
        }
        writer.touched = Some(HashSet::new());
        Ok(Self(index))
    }

    /// Carries over what changed since the rebuild began, then swaps.
    fn publish(self, mut rebuilt: Snapshot) {
        let mut writer = self.0.lock();
        let current = self.0.current.load_full();
        for item in writer.touched.take().unwrap_or_default() {
            match current.row(item) {
                Some(row) => rebuilt.upsert(item, row),
                None => {
                    rebuilt.remove(item);
                }
            }
        }
        rebuilt.set_priors(Arc::clone(current.priors()));
        self.0.current.store(Arc::new(rebuilt));
        // Not dropped: once the lock is free, `touched` may belong to the next rebuild.
        std::mem::forget(self);
    }
}

impl Drop for RebuildRunning<'_> {
    fn drop(&mut self) {
        self.0.lock().touched = None;
    }
}
