use foryou_trainer::{
    Cancel, Matrix,
    ranker::{self, Head, HeadConfig, RankerConfig},
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::Forest;

/// Random rows, some values unknown, some equal.
fn rows(n: usize, features: usize, rng: &mut SmallRng) -> Matrix {
    let value = |rng: &mut SmallRng| match rng.random_range(0..10) {
        0 => f32::NAN,
        1 => 0.0,
        _ => rng.random_range(-3.0..3.0f32),
    };
    Matrix::from_vec(n, features, (0..n * features).map(|_| value(rng)).collect()).unwrap()
}

fn trained(seed: u64) -> (ranker::Ranker, usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let features = 6;
    let data = rows(600, features, &mut rng);
    let label = |row: usize| f32::from(u8::from(data.row(row)[0].max(0.0) + data.row(row)[1].max(-1.0) > 0.5));
    let labels: Vec<f32> = (0..600).map(label).collect();
    let head = |config: HeadConfig, labels: Vec<f32>| Head {
        config: HeadConfig { trees: 12, min_rows: 3, ..config },
        labels,
        weights: None,
    };
    let heads = [
        head(HeadConfig::frequent("a"), labels.clone()),
        head(HeadConfig { min_rows: usize::MAX, ..HeadConfig::rare("b") }, labels.clone()),
        head(HeadConfig::watch_time("watch_ms"), labels.iter().map(|l| 500.0 + 9_000.0 * l).collect()),
    ];
    let names: Vec<String> = (0..features).map(|f| format!("f{f}")).collect();
    let config = RankerConfig::default();
    (ranker::train(&data, &names, &heads, &config, &Cancel::new(), &mut |_| {}).unwrap(), features)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_compiled_trees_say_what_the_trainer_says(seed in 0u64..1_000, n in 1usize..150) {
        let (ranker, features) = trained(seed);
        let forest = Forest::compile(&ranker.onnx(&[]), features, 2).unwrap();
        let data = rows(n, features, &mut SmallRng::seed_from_u64(seed + 1));
        let (probabilities, watch) = forest.predict(data.data(), n);
        let expected = ranker.predict(&data).unwrap();
        for (got, expected) in probabilities.iter().zip(expected.probabilities.data()) {
            prop_assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        prop_assert_eq!(watch.len(), n);
        for (got, expected) in watch.iter().zip(&expected.watch_ms) {
            prop_assert!((got / expected - 1.0).abs() < 1e-5, "{got} {expected}");
        }
    }
}

#[test]
fn anything_else_is_left_to_onnx_runtime() {
    let (ranker, features) = trained(1);
    let onnx = ranker.onnx(&[]);
    assert!(Forest::compile(&onnx[..onnx.len() / 2], features, 2).is_none());
    assert!(Forest::compile(&onnx, 1, 2).is_none(), "a feature that is not there");
    assert!(Forest::compile(&onnx, features, 4).is_none(), "more heads than sums");
    assert!(Forest::compile(b"", features, 2).is_none());
}
