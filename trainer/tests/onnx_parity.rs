//! The written ONNX files run in ONNX Runtime and say what the models say.
//!
//! `ORT_DYLIB_PATH` must name the library, for example `onnxruntime/capi/libonnxruntime.so.1.32.0` out of the `onnxruntime`
//! wheel.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::OnceLock;

use foryou_trainer::ranker::{self, Head, HeadConfig, RankerConfig};
use foryou_trainer::two_tower::{self, Histories, History, IdGroup, ItemTable, TowerSchema, TwoTower, TwoTowerConfig};
use foryou_trainer::{Cancel, Matrix};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn session(model: &[u8]) -> Session {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let path = std::env::var("ORT_DYLIB_PATH")
            .expect("set ORT_DYLIB_PATH to libonnxruntime.so (from the onnxruntime wheel) to run the parity tests");
        ort::init_from(&path).expect("ORT_DYLIB_PATH names a loadable ONNX Runtime").build().unwrap()
    });
    Session::builder(environment).unwrap().commit_from_memory(model).unwrap()
}

fn tensor(shape: &[usize], data: &[f32]) -> Tensor<f32> {
    Tensor::from_array((shape.to_vec(), data.to_vec())).unwrap()
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len());
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + a.abs()), "value {i}: ours {a}, ONNX Runtime's {b}");
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|s| (*s).into()).collect()
}

fn towers() -> (TwoTower, ItemTable) {
    let schema = TowerSchema {
        id_groups: vec![IdGroup::new("video", 61, 1), IdGroup::new("creator", 9, 1), IdGroup::new("tag", 7, 3)],
        content: names(&["log_duration", "age"]),
        actions: names(&["long_view", "like", "watch_ratio"]),
        profile: names(&["followers", "adult"]),
    };
    let mut rng = SmallRng::seed_from_u64(3);
    let (mut ids, mut content) = (Vec::new(), Matrix::zeros(0, 2));
    for i in 0..60 {
        ids.extend([i + 1, i % 9, i % 7, (i / 3) % 7, 0]);
        content.push_row(&[8.0 + rng.random::<f32>(), 100.0 * rng.random::<f32>()]).unwrap();
    }
    let items = ItemTable::new(&schema, ids, content).unwrap();
    let mut histories = Histories::new(&schema);
    for _ in 0..80 {
        let events: Vec<u32> = (0..20).map(|_| rng.random_range(0..60)).collect();
        let actions: Vec<f32> = (0..60).map(|_| rng.random()).collect();
        histories.push(&events, &actions, &[rng.random(), 1.0]).unwrap();
    }
    let config = TwoTowerConfig { dim: 8, hidden: 12, epochs: 3, batch: 32, history: 15, ..TwoTowerConfig::default() };
    let model = two_tower::train(&schema, &items, &histories, &config, &Cancel::new(), &mut |_| {}).unwrap();
    (model, items)
}

#[test]
fn item_tower() {
    let (model, items) = towers();
    let mut session = session(&model.item_tower_onnx(&[("version".into(), "7".into())]));
    // A video without a bucket of its own is among them.
    let mut ids = items.ids().to_vec();
    ids[0] = 0;
    let items = ItemTable::new(model.schema(), ids.clone(), items.content().clone()).unwrap();
    let ids = Tensor::from_array((vec![60, 5], ids)).unwrap();
    let content = tensor(&[60, 2], items.content().data());
    let outputs = session.run(ort::inputs! { "ids" => ids, "content" => content }).unwrap();
    let (shape, vectors) = outputs["vectors"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape.to_vec(), [60, 9]);
    assert_close(model.item_vectors(&items).unwrap().data(), vectors, 1e-5);
    drop(outputs);
    assert_eq!(session.metadata().unwrap().custom("version").unwrap(), "7");
    assert_eq!(session.metadata().unwrap().custom("id_groups").unwrap(), "video:61:1,creator:9:1,tag:7:3");
}

#[test]
fn user_tower_with_full_padded_and_empty_histories() {
    let (model, items) = towers();
    let mut session = session(&model.user_tower_onnx(&[]));
    let vectors = model.item_vectors(&items).unwrap();
    let (batch, longest, width) = (3, 6, model.vector_len());
    let lengths = [6, 2, 0];
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut rows, mut mask) = (vec![0.0; batch * longest * width], vec![0.0; batch * longest]);
    let (mut actions, mut profiles, mut ours) = (vec![0.0; batch * longest * 3], Vec::new(), Vec::new());
    for (b, &n) in lengths.iter().enumerate() {
        for l in 0..n {
            let at = b * longest + l;
            rows[at * width..(at + 1) * width].copy_from_slice(vectors.row(rng.random_range(0..60)));
            mask[at] = 1.0;
            actions[at * 3..(at + 1) * 3].iter_mut().for_each(|x| *x = rng.random());
        }
        let profile = [rng.random(), 1.0];
        profiles.extend(profile);
        let history = History {
            items: &rows[b * longest * width..][..n * width],
            actions: &actions[b * longest * 3..][..n * 3],
            profile: &profile,
        };
        ours.extend(model.user_vector(history).unwrap());
    }
    let outputs = session
        .run(ort::inputs! {
            "items" => tensor(&[batch, longest, width], &rows),
            "actions" => tensor(&[batch, longest, 3], &actions),
            "mask" => tensor(&[batch, longest], &mask),
            "profile" => tensor(&[batch, 2], &profiles),
        })
        .unwrap();
    let (shape, vectors) = outputs["vector"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape.to_vec(), [3, width as i64]);
    assert_close(&ours, vectors, 1e-5);
    assert!(vectors.chunks_exact(width).all(|v| v[width - 1] == 1.0));
    drop(outputs);

    // No row at all is an empty history too.
    let outputs = session
        .run(ort::inputs! {
            "items" => tensor(&[1, 1, width], &vec![0.0; width]),
            "actions" => tensor(&[1, 1, 3], &[0.0; 3]),
            "mask" => tensor(&[1, 1], &[0.0]),
            "profile" => tensor(&[1, 2], &profiles[4..]),
        })
        .unwrap();
    assert_close(&ours[2 * width..], outputs["vector"].try_extract_tensor::<f32>().unwrap().1, 1e-5);
}

#[test]
fn ranker_with_missing_values_and_values_on_the_threshold() {
    let mut rng = SmallRng::seed_from_u64(11);
    let (rows, cols) = (3000, 5);
    let mut features = Matrix::zeros(rows, cols);
    for x in features.data_mut() {
        // Whole numbers: many rows sit exactly on a value that bounds a bin.
        *x = if rng.random::<f32>() < 0.2 { f32::NAN } else { rng.random_range(-5i8..6).into() };
    }
    let noise = |rng: &mut SmallRng| rng.random::<f32>() - 0.5;
    let signal = |row: &[f32]| row[0].max(-1.0) + if row[1].is_nan() { 2.0 } else { 0.0 } - row[2].max(0.0) * 0.5;
    let label = |rng: &mut SmallRng, at: f32, i: usize| f32::from(signal(features.row(i)) + noise(rng) > at);
    let long: Vec<f32> = (0..rows).map(|i| label(&mut rng, 0.0, i)).collect();
    let like: Vec<f32> = (0..rows).map(|i| label(&mut rng, 3.0, i)).collect();
    let watch: Vec<f32> = (0..rows).map(|i| 1000.0 * (signal(features.row(i)) + noise(&mut rng)).exp()).collect();
    let head = |config: HeadConfig, labels| Head { config: HeadConfig { trees: 40, ..config }, labels, weights: None };
    let heads = [
        head(HeadConfig::frequent("long_view"), long),
        head(HeadConfig::watch_time("watch_ms"), watch),
        head(HeadConfig::rare("like"), like),
    ];
    let feature_names = names(&["a", "b", "c", "d", "e"]);
    let config = RankerConfig::default();
    let model = ranker::train(&features, &feature_names, &heads, &config, &Cancel::new(), &mut |_| {}).unwrap();

    let mut session = session(&model.onnx(&[("version".into(), "7".into())]));
    let ours = model.predict(&features).unwrap();
    // Larger and smaller batches take different code paths in ONNX Runtime.
    for n in [1, 20, rows] {
        let input = tensor(&[n, cols], &features.data()[..n * cols]);
        let outputs = session.run(ort::inputs! { "features" => input }).unwrap();
        let (shape, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(shape.to_vec(), [n as i64, 2]);
        assert_close(&ours.probabilities.data()[..n * 2], probabilities, 2e-6);
        let (shape, watch) = outputs["watch_ms"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(shape.to_vec(), [n as i64]);
        assert_close(&ours.watch_ms[..n], watch, 1e-5);
    }
    let metadata = session.metadata().unwrap();
    assert_eq!(metadata.custom("features").unwrap(), "a,b,c,d,e");
    assert_eq!(metadata.custom("heads").unwrap(), "long_view,like");
}

#[test]
fn a_ranker_that_found_nothing_to_split_is_a_constant() {
    let features = Matrix::zeros(50, 1);
    let labels = (0..50).map(|i| f32::from(u8::from(i < 10))).collect();
    let heads = [Head { config: HeadConfig::rare("like"), labels, weights: None }];
    let config = RankerConfig { validation: Some(25..50), ..RankerConfig::default() };
    let model = ranker::train(&features, &names(&["a"]), &heads, &config, &Cancel::new(), &mut |_| {}).unwrap();
    let mut session = session(&model.onnx(&[]));
    let outputs = session.run(ort::inputs! { "features" => tensor(&[2, 1], &[0.0, f32::NAN]) }).unwrap();
    let probabilities = outputs["probabilities"].try_extract_tensor::<f32>().unwrap().1;
    assert_close(&[0.4, 0.4], probabilities, 1e-5);
}
