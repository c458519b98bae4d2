//! The whole run on a small world: items and people fall into groups, and people meet items of their group.

use rand::Rng;
use rand::rngs::SmallRng;

use super::random::generator;
use super::*;
use crate::{Cancel, Matrix, TrainError};

const GROUPS: u32 = 4;
const PER_GROUP: u32 = 15;

fn schema() -> TowerSchema {
    let items = (GROUPS * PER_GROUP) as usize;
    TowerSchema {
        id_groups: vec![IdGroup::new("video", items + 1, 1), IdGroup::new("creator", GROUPS as usize + 1, 1)],
        content: vec!["log_duration".into()],
        actions: vec!["long_view".into()],
        profile: vec!["adult".into()],
    }
}

/// Item `i` is in group `i % GROUPS`, which is also its creator.
fn items(own_ids: bool) -> ItemTable {
    let n = GROUPS * PER_GROUP;
    let row = |i: u32| [if own_ids { i64::from(i) + 1 } else { 0 }, i64::from(i % GROUPS) + 1];
    let content = Matrix::from_vec(n as usize, 1, (0..n).map(|i| (i % 7) as f32).collect()).unwrap();
    ItemTable::new(&schema(), (0..n).flat_map(row).collect(), content).unwrap()
}

fn event(group: u32, rng: &mut SmallRng) -> u32 {
    rng.random_range(0..PER_GROUP) * GROUPS + group
}

fn world(people: u32) -> Histories {
    let mut rng = generator(5, [0, 0]);
    let mut histories = Histories::new(&schema());
    for person in 0..people {
        let n = rng.random_range(0..25);
        let events: Vec<u32> = (0..n).map(|_| event(person % GROUPS, &mut rng)).collect();
        histories.push(&events, &vec![1.0; events.len()], &[0.0]).unwrap();
    }
    histories
}

fn config() -> TwoTowerConfig {
    TwoTowerConfig { dim: 8, hidden: 16, batch: 32, epochs: 12, id_dropout: 0.2, ..TwoTowerConfig::default() }
}

fn run(config: &TwoTowerConfig) -> TwoTower {
    train(&schema(), &items(true), &world(300), config, &Cancel::new(), &mut |_| {}).unwrap()
}

/// Share of the ten best items that are of the history's own group.
fn precision(model: &TwoTower, items: &ItemTable) -> f32 {
    let vectors = model.item_vectors(items).unwrap();
    let mut rng = generator(6, [0, 0]);
    let mut right = 0;
    for group in 0..GROUPS {
        let history: Vec<f32> = (0..6).flat_map(|_| vectors.row(event(group, &mut rng) as usize).to_vec()).collect();
        let user = model.user_vector(History { items: &history, actions: &[1.0; 6], profile: &[0.0] }).unwrap();
        let score = |i: usize| -> f32 { vectors.row(i).iter().zip(&user).map(|(a, b)| a * b).sum() };
        let mut order: Vec<usize> = (0..vectors.rows()).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        right += order[..10].iter().filter(|&&i| i as u32 % GROUPS == group).count();
    }
    right as f32 / (10 * GROUPS) as f32
}

#[test]
fn learns_the_groups_and_new_videos_follow_their_content() {
    let model = run(&config());
    assert!(precision(&model, &items(true)) > 0.95);
    assert!(precision(&model, &items(false)) > 0.95, "videos without a trained id are found by their creator");
}

#[test]
fn the_sampled_softmax_learns_them_too() {
    let softmax = Softmax::Auto { full_up_to: 10, negatives: 20 };
    assert!(precision(&run(&TwoTowerConfig { softmax, ..config() }), &items(true)) > 0.95);
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let quick = TwoTowerConfig { epochs: 2, ..config() };
    let vectors = |c: &TwoTowerConfig| run(c).item_vectors(&items(true)).unwrap();
    assert_eq!(vectors(&quick), vectors(&quick));
    assert_ne!(vectors(&quick), vectors(&TwoTowerConfig { seed: 2, ..quick.clone() }));
}

#[test]
fn an_empty_history_gives_a_finite_vector_and_old_events_are_left_out() {
    let model = run(&TwoTowerConfig { epochs: 2, history: 4, ..config() });
    let vector = |items: &[f32]| {
        let actions = vec![1.0; items.len() / model.vector_len()];
        model.user_vector(History { items, actions: &actions, profile: &[0.0] }).unwrap()
    };
    let empty = vector(&[]);
    assert_eq!((empty.len(), empty[model.vector_len() - 1]), (9, 1.0));
    assert!(empty.iter().all(|x| x.is_finite()) && empty.iter().any(|x| *x != 0.0));
    let vectors = model.item_vectors(&items(true)).unwrap();
    let five: Vec<f32> = (0..5).flat_map(|i| vectors.row(i).to_vec()).collect();
    assert_eq!(vector(&five), vector(&five[9..]));
    let short = model.user_vector(History { items: &five, actions: &[1.0], profile: &[0.0] });
    assert!(matches!(short, Err(TrainError::Shape { .. })));
    let nan = model.user_vector(History { items: &[f32::NAN; 9], actions: &[1.0], profile: &[0.0] });
    assert!(matches!(nan, Err(TrainError::NotFinite(_))));
}

#[test]
fn reports_and_stops() {
    let (cancel, mut reports) = (Cancel::new(), Vec::new());
    let config = TwoTowerConfig { epochs: 2, ..config() };
    train(&schema(), &items(true), &world(100), &config, &cancel, &mut |p| reports.push(p)).unwrap();
    let last = reports.last().unwrap();
    assert!(last.done == last.total && last.loss.is_finite());
    cancel.cancel();
    let stopped = train(&schema(), &items(true), &world(100), &config, &cancel, &mut |_| {});
    assert_eq!(stopped.err(), Some(TrainError::Cancelled));
}

#[test]
fn refuses_what_does_not_fit() {
    let content = Matrix::zeros(1, 1);
    let too_large = ItemTable::new(&schema(), vec![1, 99], content.clone());
    assert!(matches!(too_large, Err(TrainError::OutOfRange { index: 99, .. })));
    assert!(matches!(ItemTable::new(&schema(), vec![1], content), Err(TrainError::Shape { .. })));
    let nobody = train(&schema(), &items(true), &world(0), &config(), &Cancel::new(), &mut |_| {});
    assert!(matches!(nobody, Err(TrainError::NotEnoughData(_))));
    let hide = TwoTowerConfig { hide: (0.5, 0.1), ..config() };
    let bad = train(&schema(), &items(true), &world(10), &hide, &Cancel::new(), &mut |_| {});
    assert!(matches!(bad, Err(TrainError::Setting { name: "hide", .. })));
}
