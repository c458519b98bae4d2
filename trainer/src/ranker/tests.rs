//! Whole runs on made-up rows.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::metrics::{auc, calibration_ratio};
use crate::{Cancel, Matrix, TrainError};

const ROWS: usize = 4000;

fn names() -> Vec<String> {
    ["x", "y", "noise"].map(String::from).to_vec()
}

/// The log-odds are `2 x - 1`, and 1 more where `y` is missing.
fn rows() -> (Matrix, Vec<f32>) {
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut features, mut labels) = (Matrix::zeros(0, 3), Vec::new());
    for _ in 0..ROWS {
        let x = 4.0 * rng.random::<f32>() - 2.0;
        let y = if rng.random::<f32>() < 0.5 { f32::NAN } else { rng.random() };
        let odds = 2.0 * x - 1.0 + if y.is_nan() { 1.0 } else { 0.0 };
        labels.push(f32::from(u8::from(rng.random::<f32>() < 1.0 / (1.0 + (-odds).exp()))));
        features.push_row(&[x, y, rng.random()]).unwrap();
    }
    (features, labels)
}

fn head(config: HeadConfig, labels: &[f32]) -> Head {
    Head { config, labels: labels.to_vec(), weights: None }
}

fn run(features: &Matrix, heads: &[Head], config: &RankerConfig) -> Result<Ranker, TrainError> {
    train(features, &names(), heads, config, &Cancel::new(), &mut |_| {})
}

#[test]
fn learns_order_probability_and_missing_values() {
    let (features, labels) = rows();
    let config = HeadConfig { trees: 80, feature_fraction: 1.0, learning_rate: 0.1, ..HeadConfig::frequent("long") };
    let model = run(&features, &[head(config, &labels)], &RankerConfig::default()).unwrap();
    let p = model.predict(&features).unwrap().probabilities;
    assert!(auc(p.data(), &labels).unwrap() > 0.90, "{:?}", auc(p.data(), &labels));
    assert!((calibration_ratio(p.data(), &labels).unwrap() - 1.0).abs() < 0.01);
    // At x = 1/2 the odds are even, and e : 1 where y is missing. Averaged over noise, which one tree path may fit.
    let mean = |y: &dyn Fn(f32) -> f32| {
        let line: Vec<f32> =
            (0..400).flat_map(|i| [0.3 + i as f32 / 1000.0, y(i as f32), (i % 20) as f32 / 20.0]).collect();
        let p = model.predict(&Matrix::from_vec(400, 3, line).unwrap()).unwrap().probabilities;
        p.data().iter().sum::<f32>() / 400.0
    };
    let (missing, known) = (mean(&|_| f32::NAN), mean(&|i| (i * 7.0 % 100.0) / 100.0));
    assert!((missing - 0.73).abs() < 0.05 && (known - 0.5).abs() < 0.05, "{missing} {known}");
    let importances = model.importances("long").unwrap();
    assert_eq!((importances[0].feature.as_str(), importances[2].feature.as_str()), ("x", "noise"));
    assert!(importances[0].gain > 5.0 * importances[1].gain && importances[0].splits > 0);
    assert_eq!(model.importances("unknown"), None);
}

#[test]
fn one_split_by_hand() {
    // Four rows, p = 1/2, so gradients are -+1/2 and hessians 1/4: the leaf values are -+1 / (1/2 + l2).
    let features = Matrix::from_vec(4, 3, vec![1., 0., 0., 2., 0., 0., 3., 0., 0., 4., 0., 0.]).unwrap();
    let config = HeadConfig {
        trees: 1,
        leaves: 2,
        l2: 0.5,
        min_rows: 1,
        learning_rate: 1.0,
        feature_fraction: 1.0,
        ..HeadConfig::frequent("long")
    };
    let model = run(&features, &[head(config, &[0., 0., 1., 1.])], &RankerConfig::default()).unwrap();
    let p = model.predict(&features).unwrap().probabilities;
    let want = |score: f32| 1.0 / (1.0 + (-score).exp());
    let right = |(got, want): (&f32, &f32)| (got - want).abs() < 1e-6;
    assert!(p.data().iter().zip(&[want(-1.0), want(-1.0), want(1.0), want(1.0)]).all(right), "{p:?}");
    let best = &model.importances("long").unwrap()[0];
    // Each side gains g^2 / (2 (h + l2)) = 1 / 2; the parent has none.
    assert!((best.gain - 1.0).abs() < 1e-6 && best.splits == 1, "{best:?}");
}

#[test]
fn watch_time_is_right_in_the_mean() {
    let (features, _) = rows();
    let mut rng = SmallRng::seed_from_u64(2);
    let watch: Vec<f32> = (0..ROWS)
        .map(
            |i| if rng.random::<f32>() < 0.3 { 0.0 } else { 5000.0 * (features.row(i)[0] + rng.random::<f32>()).exp() },
        )
        .collect();
    let model = run(&features, &[head(HeadConfig::watch_time("watch"), &watch)], &RankerConfig::default()).unwrap();
    assert_eq!((model.heads().len(), model.watch_head()), (0, Some("watch")));
    let predicted = model.predict(&features).unwrap().watch_ms;
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    assert!((mean(&predicted) / mean(&watch) - 1.0).abs() < 1e-3);
    assert!(predicted.iter().all(|x| x.is_finite() && *x >= 0.0));
}

#[test]
fn rows_without_a_label_and_rows_without_weight_do_not_count() {
    let (features, labels) = rows();
    let config = HeadConfig { trees: 20, ..HeadConfig::frequent("long") };
    let half = |i: usize| i.is_multiple_of(2);
    let unlabelled: Vec<f32> = labels.iter().enumerate().map(|(i, &y)| if half(i) { y } else { f32::NAN }).collect();
    let other: Vec<f32> = labels.iter().enumerate().map(|(i, &y)| if half(i) { y } else { 1.0 - y }).collect();
    let weights = (0..ROWS).map(|i| f32::from(u8::from(half(i)))).collect();
    let predict = |head: Head| {
        let model = run(&features, &[head], &RankerConfig::default()).unwrap();
        model.predict(&features).unwrap().probabilities
    };
    let a = predict(head(config.clone(), &unlabelled));
    assert!(auc(a.data(), &labels).unwrap() > 0.88);
    let b = predict(Head { config, labels: other, weights: Some(weights) });
    assert!(auc(b.data(), &labels).unwrap() > 0.88);
}

#[test]
fn monotone_heads_never_fall() {
    let (features, mut labels) = rows();
    // Against the constraint on purpose: above 1 the outcome becomes rare again.
    for (i, y) in labels.iter_mut().enumerate() {
        if features.row(i)[0] > 1.0 {
            *y = 0.0;
        }
    }
    let config = HeadConfig { trees: 50, monotone: vec![1, 0, 0], ..HeadConfig::frequent("long") };
    let model = run(&features, &[head(config, &labels)], &RankerConfig::default()).unwrap();
    for y in [f32::NAN, 0.1, 0.9] {
        let line: Vec<f32> = (0..200).flat_map(|i| [i as f32 / 50.0 - 2.0, y, 0.5]).collect();
        let p = model.predict(&Matrix::from_vec(200, 3, line).unwrap()).unwrap().probabilities;
        assert!(p.data().windows(2).all(|w| w[1] >= w[0] - 1e-6));
    }
}

#[test]
fn stops_early_at_its_best() {
    let (features, labels) = rows();
    let config = HeadConfig { trees: 400, learning_rate: 0.3, feature_fraction: 1.0, ..HeadConfig::frequent("long") };
    let settings = RankerConfig { validation: Some(3000..ROWS), patience: 10, ..RankerConfig::default() };
    let model = run(&features, &[head(config, &labels)], &settings).unwrap();
    let (_, trees) = &model.trees()[0];
    assert!((1..100).contains(trees), "{trees}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (features, labels) = rows();
    let heads: Vec<Head> = ["a", "b", "c"]
        .iter()
        .map(|name| head(HeadConfig { trees: 15, row_fraction: 0.7, ..HeadConfig::frequent(*name) }, &labels))
        .collect();
    let with = |threads| run(&features, &heads, &RankerConfig { threads, ..RankerConfig::default() }).unwrap();
    assert_eq!(with(1), with(3));
}

#[test]
fn reports_and_stops() {
    let (features, labels) = rows();
    let heads = [head(HeadConfig { trees: 20, ..HeadConfig::frequent("long") }, &labels)];
    let mut done = Vec::new();
    let cancel = Cancel::new();
    let config = RankerConfig::default();
    train(&features, &names(), &heads, &config, &cancel, &mut |p| done.push(p.done)).unwrap();
    assert_eq!(done, [10, 20]);
    cancel.cancel();
    assert_eq!(train(&features, &names(), &heads, &config, &cancel, &mut |_| {}).err(), Some(TrainError::Cancelled));
}

#[test]
fn refuses_what_does_not_fit() {
    let (features, labels) = rows();
    let config = RankerConfig::default();
    let short = run(&features, &[head(HeadConfig::rare("like"), &labels[1..])], &config);
    assert!(matches!(short, Err(TrainError::Shape { .. })));
    let above_one = run(&features, &[head(HeadConfig::rare("like"), &vec![2.0; ROWS])], &config);
    assert!(matches!(above_one, Err(TrainError::Setting { name: "labels", .. })));
    let none = run(&features, &[head(HeadConfig::rare("like"), &vec![f32::NAN; ROWS])], &config);
    assert!(matches!(none, Err(TrainError::NotEnoughData(_))));
    let twice = [head(HeadConfig::rare("like"), &labels), head(HeadConfig::rare("like"), &labels)];
    assert!(matches!(run(&features, &twice, &config), Err(TrainError::Setting { name: "heads", .. })));
}
