use std::collections::HashSet;

use super::{GraphConfig, build};
use crate::bench::recall;
use crate::rows::Line;
use crate::snapshot::Snapshot;
use crate::synthetic::Clusters;
use crate::topk::Hit;
use crate::{Index, IndexConfig};

const K: usize = 100;

/// Below the default, so that fewer items than its scan takes are walked.
const EF: usize = 160;

/// An index that makes a graph whatever its size.
fn index(dim: usize) -> Index {
    let mut config = IndexConfig::new(dim);
    config.exact_below = 0;
    config.graph = GraphConfig { ef_build: 80, threads: 2, ..GraphConfig::default() };
    Index::new(config).unwrap()
}

fn search_all(index: &Index, queries: &[Vec<f32>], filter: impl Fn(u32) -> bool) -> Vec<Vec<Hit>> {
    queries.iter().map(|query| index.search(query, K, EF, &filter).unwrap()).collect()
}

/// 24,000 items, more than are scanned at this width.
#[test]
fn recall_holds_with_priors_refreshed_priors_filters_and_tombstones() {
    let n = 24_000;
    let mut clusters = Clusters::new(7, 24, 200, 0.7);
    let (exact, graph) = (index(24), index(24));
    let items = clusters.draw_many(n);
    let priors = clusters.priors(n, 0.05);
    for index in [&exact, &graph] {
        index.upsert_all((0..).zip(&items)).unwrap();
        index.set_priors(priors.clone()).unwrap();
    }
    graph.rebuild().unwrap();
    assert_eq!((graph.stats().graph_items, graph.stats().exact_items), (n, 0));
    let queries = clusters.draw_many(100);
    let compare = |what: &str, least: f64, filter: &dyn Fn(u32) -> bool| {
        let (found, truth) = (search_all(&graph, &queries, filter), search_all(&exact, &queries, filter));
        let recall = recall(&found, &truth);
        assert!(recall >= least, "{what}: {recall}");
        for (found, truth) in found.iter().zip(&truth) {
            assert_eq!(found.len(), truth.len(), "{what}");
            assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
    };
    compare("as built", 0.95, &|_| true);
    compare("half filtered", 0.95, &|item| item % 2 == 0);
    compare("few pass: scanned, so exact", 1.0, &|item| item % 500 == 0);

    let before = search_all(&graph, &queries, |_| true);
    let refreshed = clusters.priors(n, 0.05);
    for index in [&exact, &graph] {
        index.set_priors(refreshed.clone()).unwrap();
    }
    assert_ne!(before, search_all(&graph, &queries, |_| true));
    compare("other priors than built with", 0.95, &|_| true);

    let removed: Vec<u32> = (0..n as u32).filter(|item| item % 3 == 0).collect();
    for item in &removed {
        assert!(exact.remove(*item) && graph.remove(*item) && !graph.remove(*item));
    }
    compare("a third removed", 0.95, &|_| true);
    let found = search_all(&graph, &queries, |_| true);
    assert!(found.iter().flatten().all(|hit| hit.item % 3 != 0));
}

#[test]
fn every_copy_of_a_vector_is_found() {
    let mut clusters = Clusters::new(3, 8, 20, 0.5);
    let index = index(8);
    index.upsert_all((0..).zip(clusters.draw_many(26_000))).unwrap();
    let popular = clusters.draw();
    index.upsert_all((26_000..26_200).map(|item| (item, &popular))).unwrap();
    index.rebuild().unwrap();
    let copies = |hits: Vec<Hit>| hits.iter().map(|hit| hit.item).collect::<HashSet<u32>>();
    let all: HashSet<u32> = (26_000..26_200).collect();
    assert_eq!(copies(index.search(&popular, 200, 200, |_| true).unwrap()), all);

    // Each copy has a prior and a life of its own.
    assert!(index.remove(26_000));
    index.set_prior(26_123, 0.5).unwrap();
    let hits = index.search(&popular, 199, 200, |_| true).unwrap();
    assert_eq!(hits[0].item, 26_123);
    assert_eq!(copies(hits), all.iter().copied().filter(|item| *item != 26_000).collect());
    let similar = index.similar(26_100, 198, 200, |_| true).unwrap();
    assert_eq!(copies(similar), (26_001..26_200).filter(|item| *item != 26_100).collect());
}

/// Tight clusters: hora prunes so much that some nodes have no edge that leads to them.
#[test]
fn every_node_can_be_reached_from_the_entries() {
    let mut snapshot = Snapshot::new(8);
    for (item, vector) in (0..).zip(Clusters::new(11, 8, 50, 0.05).draw_many(5000)) {
        snapshot.upsert(item, &Line::pad(&vector));
    }
    let config = GraphConfig { neighbours: 4, ef_build: 20, ..GraphConfig::default() };
    let graph = build(&snapshot, &config).unwrap();
    let mut reached = vec![false; graph.rows().len()];
    let mut stack: Vec<u32> = (0..graph.entries() as u32).collect();
    while let Some(node) = stack.pop() {
        if !std::mem::replace(&mut reached[node as usize], true) {
            stack.extend(graph.neighbours(node as usize));
        }
    }
    assert_eq!(reached.iter().filter(|reached| !**reached).count(), 0);
    assert_eq!(graph.members().iter().collect::<HashSet<_>>().len(), 5000);
}

#[test]
fn one_item_and_equal_items_make_a_graph() {
    let one = index(3);
    one.upsert(5, &[1.0, 0.0, 0.0]).unwrap();
    one.rebuild().unwrap();
    assert_eq!(one.stats().graph_items, 1);
    one.upsert_all((6..9).map(|item| (item, [0.0; 3]))).unwrap();
    one.rebuild().unwrap();
    let hits = one.search(&[1.0, 0.0, 0.0], 10, 10, |_| true).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.item).collect::<Vec<_>>(), [5, 6, 7, 8]);
}
