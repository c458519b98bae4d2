use std::sync::atomic::{AtomicBool, Ordering};

use crate::synthetic::Clusters;
use crate::topk::Hit;
use crate::{DEFAULT_EF, Index, IndexConfig, IndexError, MAX_ITEMS};

fn index(dim: usize, exact_below: usize) -> Index {
    Index::new(IndexConfig { exact_below, ..IndexConfig::new(dim) }).unwrap()
}

fn items(hits: &[Hit]) -> Vec<u32> {
    hits.iter().map(|hit| hit.item).collect()
}

#[test]
fn what_is_not_finite_or_of_another_size_is_refused_and_changes_nothing() {
    let index = index(2, 0);
    index.upsert(1, &[1.0, 0.0]).unwrap();
    let bad = [vec![f32::NAN, 0.0], vec![0.0, f32::INFINITY], vec![1e30, 0.0], vec![], vec![0.0; 3]];
    for vector in &bad {
        assert!(index.upsert(1, vector).is_err());
        assert!(index.search(vector, 1, DEFAULT_EF, |_| true).is_err());
    }
    let batch = [(2, vec![1.0, 1.0]), (3, vec![f32::NAN, 1.0])];
    assert!(matches!(index.upsert_all(batch), Err(IndexError::OutOfRange { .. })));
    assert!(matches!(index.upsert(MAX_ITEMS, &[0.0, 0.0]), Err(IndexError::Item { .. })));
    assert!(index.set_priors(vec![0.0, f32::NEG_INFINITY]).is_err());
    assert!(index.set_prior(1, f32::NAN).is_err());
    assert_eq!(index.stats().items, 1);
    assert_eq!(index.search(&[1.0, 0.0], 9, 9, |_| true).unwrap(), [Hit { item: 1, score: 1.0 }]);
}

#[test]
fn bad_configurations_are_refused() {
    assert!(matches!(Index::new(IndexConfig::new(0)), Err(IndexError::Config(_))));
    let mut config = IndexConfig::new(8);
    config.graph.ef_build = 5;
    assert!(matches!(Index::new(config), Err(IndexError::Config(_))));
}

#[test]
fn updates_are_seen_at_once_before_and_after_a_rebuild() {
    for rebuild in [false, true] {
        let index = index(2, 0);
        index.upsert_all((0..50).map(|i| (i, [i as f32, 1.0]))).unwrap();
        if rebuild {
            index.rebuild().unwrap();
            assert_eq!(index.stats().graph_items, 50);
        }
        let best = |k| items(&index.search(&[1.0, 0.0], k, DEFAULT_EF, |_| true).unwrap());
        assert_eq!(best(3), [49, 48, 47]);
        index.upsert(7, &[100.0, 0.0]).unwrap();
        assert_eq!(best(2), [7, 49]);
        index.upsert(7, &[-1.0, 0.0]).unwrap();
        assert_eq!(index.vector(7), Some(vec![-1.0, 0.0]));
        assert!(index.remove(49));
        assert!(!index.remove(49) && !index.remove(1000));
        assert_eq!(best(2), [48, 47]);
        index.set_prior(3, 60.0).unwrap();
        assert_eq!(index.search(&[1.0, 0.0], 1, 1, |_| true).unwrap(), [Hit { item: 3, score: 63.0 }]);
        index.set_priors(vec![0.0, 0.0, 90.0]).unwrap();
        assert_eq!(best(2), [2, 48]);
        assert_eq!(index.search(&[1.0, 0.0], 2, 9, |item| item > 5).unwrap()[0].item, 48);
        index.rebuild().unwrap();
        assert_eq!(best(2), [2, 48]);
        assert!(!best(100).contains(&49));
        assert_eq!((index.stats().items, index.contains(49), index.contains(7)), (49, false, true));
    }
}

#[test]
fn similar_items_ignore_priors_and_the_item_itself() {
    let index = index(2, 10);
    index.upsert_all([(0, [1.0, 0.0]), (1, [0.9, 0.1]), (2, [0.0, 1.0])]).unwrap();
    index.set_priors(vec![9.0, 0.0, 5.0]).unwrap();
    assert_eq!(items(&index.similar(0, 5, 9, |_| true).unwrap()), [1, 2]);
    assert_eq!(items(&index.similar(0, 5, 9, |item| item != 1).unwrap()), [2]);
    assert_eq!(index.similar(7, 5, 9, |_| true), None);
}

#[test]
fn equal_scores_come_by_id_and_k_is_a_bound() {
    let index = index(1, 10);
    assert_eq!(index.search(&[1.0], 5, 5, |_| true).unwrap(), []);
    index.upsert_all([4, 2, 9, 1].map(|item| (item, [1.0]))).unwrap();
    assert_eq!(items(&index.search(&[1.0], 3, 5, |_| true).unwrap()), [1, 2, 4]);
    assert_eq!(index.search(&[1.0], 0, 0, |_| true).unwrap(), []);
    assert_eq!(index.search(&[1.0], usize::MAX, usize::MAX, |_| true).unwrap().len(), 4);
}

#[test]
fn a_small_catalogue_has_no_graph_and_a_shrunken_one_loses_it() {
    let index = index(2, 30);
    index.upsert_all((0..29).map(|i| (i, [i as f32, 1.0]))).unwrap();
    assert!(!index.stats().wants_rebuild);
    index.rebuild().unwrap();
    assert_eq!((index.stats().graph_items, index.stats().exact_items), (0, 29));
    index.upsert(29, &[29.0, 1.0]).unwrap();
    assert!(index.stats().wants_rebuild);
    index.rebuild().unwrap();
    assert_eq!((index.stats().graph_items, index.stats().exact_items), (30, 0));
    assert!(!index.stats().wants_rebuild);
    assert!((0..10).all(|item| index.remove(item)));
    assert!(index.stats().wants_rebuild);
    index.rebuild().unwrap();
    assert_eq!((index.stats().graph_items, index.stats().exact_items, index.stats().graph_dead), (0, 20, 0));
}

#[test]
fn searches_and_updates_go_on_during_a_rebuild() {
    let mut clusters = Clusters::new(5, 16, 30, 0.5);
    let index = index(16, 0);
    index.upsert_all((0..2000).zip(clusters.draw_many(2000))).unwrap();
    let (late, query) = (clusters.draw_many(500), clusters.draw());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rebuild = scope.spawn(|| {
            let built = index.rebuild();
            done.store(true, Ordering::SeqCst);
            built
        });
        scope.spawn(|| {
            let mut searches = 0;
            while !done.load(Ordering::SeqCst) || searches == 0 {
                assert_eq!(index.search(&query, 10, 100, |_| true).unwrap().len(), 10);
                searches += 1;
            }
        });
        for (item, vector) in (1800..2300).zip(&late) {
            index.upsert(item, vector).unwrap();
            index.remove(item - 1800);
        }
        rebuild.join().unwrap().unwrap();
    });
    assert!(!index.stats().rebuilding);
    assert_eq!(index.stats().items, 1800);
    assert!((0..500).all(|item| !index.contains(item)));
    for (item, vector) in (1800..2300).zip(&late) {
        assert_eq!(index.vector(item).as_ref(), Some(vector));
    }
    assert!(index.search(&query, 5000, 5000, |_| true).unwrap().len() == 1800);
}

#[test]
fn a_failed_rebuild_leaves_the_index_and_can_be_tried_again() {
    let mut config = IndexConfig { exact_below: 0, ..IndexConfig::new(1) };
    config.graph.scratch = Some("/nowhere/at/all".into());
    let index = Index::new(config).unwrap();
    index.upsert(0, &[1.0]).unwrap();
    for _ in 0..2 {
        assert!(matches!(index.rebuild(), Err(IndexError::Io { .. })));
    }
    assert!(index.contains(0) && !index.stats().rebuilding);
}
