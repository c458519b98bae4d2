//! One immutable state of the index. An update clones it, changes the clone and publishes that.
//!
//! A clone shares every vector: it copies page tables and pointers only.

use std::sync::Arc;

use crate::bits::Bits;
use crate::exact::ExactSegment;
use crate::graph::{GraphSegment, NodeInfo};
use crate::paged::Paged;
use crate::rows::Line;
use crate::topk::{Hit, TopK};

/// How items are scored in one search: `<query, vector> + weight * prior`.
pub(crate) struct Scoring<'a> {
    /// The query, padded to lines.
    pub query: &'a [Line],
    /// By item; an item beyond the end has prior 0.
    pub priors: &'a [f32],
    /// 1 for a search, 0 for similar items.
    pub weight: f32,
}

impl Scoring<'_> {
    #[inline]
    pub fn prior(&self, item: u32) -> f32 {
        self.weight * prior_of(self.priors, item)
    }
}

#[inline]
fn prior_of(priors: &[f32], item: u32) -> f32 {
    priors.get(item as usize).copied().unwrap_or(0.0)
}

/// Where an item's vector is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Nowhere,
    /// A row of the exact segment.
    Exact(u32),
    /// A position among the members of the graph.
    Graph(u32),
}

/// The graph segment as this snapshot sees it.
#[derive(Clone)]
pub(crate) struct GraphView {
    pub segment: Arc<GraphSegment>,
    /// Members that were removed or replaced since the graph was built.
    pub dead: Arc<Bits>,
    /// By node, with the current priors.
    pub nodes: Arc<Vec<NodeInfo>>,
}

impl GraphView {
    fn new(segment: Arc<GraphSegment>, dead: Bits, priors: &[f32]) -> Self {
        let nodes = Arc::new(segment.node_infos(|item| prior_of(priors, item)));
        Self { segment, dead: Arc::new(dead), nodes }
    }
}

#[derive(Clone)]
pub(crate) struct Snapshot {
    dim: usize,
    exact: ExactSegment,
    graph: Option<GraphView>,
    places: Paged<Place>,
    priors: Arc<Vec<f32>>,
}

impl Snapshot {
    pub fn new(dim: usize) -> Self {
        let exact = ExactSegment::new(dim);
        Self { dim, exact, graph: None, places: Paged::default(), priors: Arc::default() }
    }

    /// A snapshot of a graph, some of whose members may be dead, and nothing else.
    pub fn from_graph(dim: usize, graph: GraphSegment, dead: Bits, priors: Arc<Vec<f32>>) -> Self {
        let mut places = Paged::default();
        for (position, item) in graph.members().iter().enumerate() {
            if !dead.get(position) {
                places.set(*item as usize, Place::Graph(position as u32));
            }
        }
        let graph = GraphView::new(Arc::new(graph), dead, &priors);
        Self { dim, exact: ExactSegment::new(dim), graph: Some(graph), places, priors }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn exact(&self) -> &ExactSegment {
        &self.exact
    }

    pub fn graph(&self) -> Option<&GraphView> {
        self.graph.as_ref()
    }

    pub fn priors(&self) -> &Arc<Vec<f32>> {
        &self.priors
    }

    pub fn prior(&self, item: u32) -> f32 {
        prior_of(&self.priors, item)
    }

    /// Live items in the graph segment.
    pub fn graph_len(&self) -> usize {
        self.graph.as_ref().map_or(0, |graph| graph.segment.members().len() - graph.dead.ones())
    }

    pub fn len(&self) -> usize {
        self.exact.len() + self.graph_len()
    }

    /// Memory of vectors, edges, priors and tables.
    pub fn bytes(&self) -> usize {
        let graph = self.graph.as_ref().map_or(0, |graph| {
            graph.segment.bytes() + graph.dead.bytes() + graph.nodes.capacity() * size_of::<NodeInfo>()
        });
        self.exact.bytes() + graph + self.places.bytes() + self.priors.capacity() * size_of::<f32>()
    }

    /// The vector of an item, padded to lines.
    pub fn row(&self, item: u32) -> Option<&[Line]> {
        match (self.places.get(item as usize), &self.graph) {
            (Place::Exact(row), _) => Some(self.exact.row(row as usize)),
            (Place::Graph(position), Some(graph)) => Some(graph.segment.row_of(position as usize)),
            _ => None,
        }
    }

    /// Every live item with its vector, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[Line])> {
        let graph = self.graph.iter().flat_map(|graph| {
            let members = graph.segment.members().iter().enumerate();
            let live = members.filter(|(position, _)| !graph.dead.get(*position));
            live.map(|(position, item)| (*item, graph.segment.row_of(position)))
        });
        self.exact.iter().chain(graph)
    }

    /// Adds an item or replaces its vector; from then on it is in the exact segment.
    pub fn upsert(&mut self, item: u32, lines: &[Line]) {
        match self.places.get(item as usize) {
            Place::Exact(row) => self.exact.set(row as usize, lines),
            place => {
                self.bury(place);
                let row = self.exact.push(item, lines);
                self.places.set(item as usize, Place::Exact(row as u32));
            }
        }
    }

    /// Removes an item; false if it was not there.
    pub fn remove(&mut self, item: u32) -> bool {
        let place = self.places.get(item as usize);
        if place == Place::Nowhere {
            return false;
        }
        self.places.set(item as usize, Place::Nowhere);
        match place {
            Place::Exact(row) => {
                if let Some(moved) = self.exact.swap_remove(row as usize) {
                    self.places.set(moved as usize, Place::Exact(row));
                }
            }
            place => self.bury(place),
        }
        true
    }

    /// Marks a member of the graph as dead; any other place is left alone.
    fn bury(&mut self, place: Place) {
        if let (Place::Graph(position), Some(graph)) = (place, &mut self.graph) {
            Arc::make_mut(&mut graph.dead).set(position as usize);
        }
    }

    /// Replaces all priors.
    pub fn set_priors(&mut self, priors: Arc<Vec<f32>>) {
        if let Some(graph) = &mut self.graph {
            graph.nodes = Arc::new(graph.segment.node_infos(|item| prior_of(&priors, item)));
        }
        self.priors = priors;
    }

    /// Replaces the prior of one item, which need not be there yet.
    pub fn set_prior(&mut self, item: u32, prior: f32) {
        let priors = Arc::make_mut(&mut self.priors);
        if item as usize >= priors.len() {
            priors.resize(item as usize + 1, 0.0);
        }
        priors[item as usize] = prior;
        if let (Place::Graph(position), Some(graph)) = (self.places.get(item as usize), &mut self.graph) {
            let node = graph.segment.node_of(position as usize);
            Arc::make_mut(&mut graph.nodes)[node] = graph.segment.node_info(node, |item| prior_of(priors, item));
        }
    }

    /// The best `k` items that pass the filter, best first.
    pub fn search(&self, scoring: &Scoring<'_>, k: usize, ef: usize, filter: &impl Fn(u32) -> bool) -> Vec<Hit> {
        let mut top = TopK::new(k.min(self.len()));
        if top.k() > 0 {
            if let Some(graph) = &self.graph {
                graph.search(scoring, ef.max(k), filter, &mut top);
            }
            self.exact.scan(scoring, filter, &mut top);
        }
        top.into_hits()
    }
}
