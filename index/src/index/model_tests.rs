//! The index against a naive model, under random operations.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::topk::Hit;
use crate::{Index, IndexConfig};

const DIM: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Upsert(u32, [f32; DIM]),
    UpsertMany(u32, u32, [f32; DIM]),
    Remove(u32),
    SetPrior(u32, f32),
    SetPriors(Vec<f32>),
    Rebuild,
    SaveAndLoad,
    Search([f32; DIM], usize, u32),
    Similar(u32, usize),
}

/// Small whole numbers: sums are exact in any order, and vectors and scores often coincide.
fn number() -> impl Strategy<Value = f32> {
    (-3i8..=3).prop_map(f32::from)
}

fn vector() -> impl Strategy<Value = [f32; DIM]> {
    [number(), number(), number()]
}

fn op() -> impl Strategy<Value = Op> {
    let item = || 0u32..300;
    prop_oneof![
        6 => (item(), vector()).prop_map(|(i, v)| Op::Upsert(i, v)),
        2 => (item(), 1u32..200, vector()).prop_map(|(i, n, v)| Op::UpsertMany(i, n, v)),
        4 => item().prop_map(Op::Remove),
        2 => (item(), number()).prop_map(|(i, p)| Op::SetPrior(i, p)),
        1 => prop::collection::vec(number(), 0..300).prop_map(Op::SetPriors),
        1 => Just(Op::Rebuild),
        1 => Just(Op::SaveAndLoad),
        6 => (vector(), 0usize..40, 1u32..5).prop_map(|(q, k, m)| Op::Search(q, k, m)),
        2 => (item(), 0usize..40).prop_map(|(i, k)| Op::Similar(i, k)),
    ]
}

#[derive(Default)]
struct Model {
    vectors: BTreeMap<u32, [f32; DIM]>,
    priors: Vec<f32>,
}

impl Model {
    fn prior(&self, item: u32) -> f32 {
        self.priors.get(item as usize).copied().unwrap_or(0.0)
    }

    fn best(&self, query: [f32; DIM], k: usize, weight: f32, filter: impl Fn(u32) -> bool) -> Vec<Hit> {
        let score = |item: u32, v: &[f32; DIM]| {
            v.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>() + weight * self.prior(item)
        };
        let passing = self.vectors.iter().filter(|(item, _)| filter(**item));
        let mut hits: Vec<Hit> = passing.map(|(item, v)| Hit { item: *item, score: score(*item, v) }).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        hits.truncate(k);
        hits
    }
}

/// The nth of several vectors made from one.
fn shifted(v: [f32; DIM], n: u32) -> [f32; DIM] {
    [v[0] + (n % 5) as f32, v[1], v[2] - (n % 3) as f32]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With so few items every search is a scan of the segments, so the index must agree with the model exactly.
    #[test]
    fn index_is_the_model(ops in prop::collection::vec(op(), 1..60), exact_below in prop_oneof![Just(0usize), Just(100)]) {
        let config = IndexConfig { exact_below, ..IndexConfig::new(DIM) };
        let mut index = Index::new(config.clone()).unwrap();
        let mut model = Model::default();
        let folder = tempfile::tempdir().unwrap();
        for op in ops {
            match op {
                Op::Upsert(item, v) => {
                    index.upsert(item, &v).unwrap();
                    model.vectors.insert(item, v);
                }
                Op::UpsertMany(first, count, v) => {
                    let items: Vec<_> = (0..count).map(|n| (first + n, shifted(v, n))).collect();
                    index.upsert_all(items.clone()).unwrap();
                    model.vectors.extend(items);
                }
                Op::Remove(item) => prop_assert_eq!(index.remove(item), model.vectors.remove(&item).is_some()),
                Op::SetPrior(item, prior) => {
                    index.set_prior(item, prior).unwrap();
                    model.priors.resize(model.priors.len().max(item as usize + 1), 0.0);
                    model.priors[item as usize] = prior;
                }
                Op::SetPriors(priors) => {
                    index.set_priors(priors.clone()).unwrap();
                    model.priors = priors;
                }
                Op::Rebuild => {
                    index.rebuild().unwrap();
                    prop_assert!(index.stats().graph_dead == 0);
                }
                Op::SaveAndLoad => {
                    let path = folder.path().join("index");
                    index.save(&path).unwrap();
                    index = Index::load(&path, config.clone()).unwrap();
                }
                Op::Search(query, k, modulus) => {
                    let filter = |item: u32| item.is_multiple_of(modulus);
                    prop_assert_eq!(index.search(&query, k, 1000, filter).unwrap(), model.best(query, k, 1.0, filter));
                }
                Op::Similar(item, k) => {
                    let expected = model.vectors.get(&item).map(|v| model.best(*v, k, 0.0, |other| other != item));
                    prop_assert_eq!(index.similar(item, k, 1000, |_| true), expected);
                }
            }
            let stats = index.stats();
            prop_assert_eq!(stats.items, model.vectors.len());
            prop_assert_eq!(stats.items, stats.exact_items + stats.graph_items);
        }
        for item in 0..500 {
            prop_assert_eq!(index.vector(item), model.vectors.get(&item).map(|v| v.to_vec()));
            prop_assert_eq!(index.prior(item), model.prior(item));
        }
    }
}
