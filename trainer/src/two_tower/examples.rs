//! Set mode: hide part of a person's items, predict them from the rest.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::{Histories, TwoTowerConfig};

/// One training example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Example {
    /// Person.
    pub(crate) user: usize,
    /// Events that may be seen (indices into the histories), oldest first.
    pub(crate) visible: Vec<usize>,
    /// Hidden items to be predicted (rows of the catalogue), each once.
    pub(crate) targets: Vec<u32>,
}

/// Draws an example for `user`; `None` without any event.
///
/// Items are hidden, not events: all events of a hidden item go, so that no target can be seen.
pub(crate) fn draw(histories: &Histories, user: usize, config: &TwoTowerConfig, rng: &mut SmallRng) -> Option<Example> {
    let range = histories.range(user);
    let range = range.start.max(range.end.saturating_sub(config.max_events))..range.end;
    let mut items: Vec<u32> = histories.items()[range.clone()].to_vec();
    items.sort_unstable();
    items.dedup();
    if items.is_empty() {
        return None;
    }
    let share = rng.random_range(config.hide.0..=config.hide.1);
    let hide_all = items.len() == 1 || rng.random::<f32>() < config.hide_all;
    let hidden = if hide_all { items.len() } else { ((items.len() as f32 * share).round() as usize).max(1) };
    let (targets, _) = items.partial_shuffle(rng, hidden);
    let mut hidden = targets.to_vec();
    let targets = hidden[..hidden.len().min(config.targets)].to_vec();
    hidden.sort_unstable();
    let mut visible: Vec<usize> = range.filter(|&e| hidden.binary_search(&histories.items()[e]).is_err()).collect();
    visible.drain(..visible.len().saturating_sub(config.history));
    Some(Example { user, visible, targets })
}

#[cfg(test)]
mod tests {
    use super::super::random::generator;
    use super::*;
    use crate::two_tower::{IdGroup, TowerSchema};

    fn histories() -> Histories {
        let schema = TowerSchema {
            id_groups: vec![IdGroup::new("video", 50, 1)],
            content: vec!["c".into()],
            actions: vec!["a".into()],
            profile: vec!["p".into()],
        };
        let mut h = Histories::new(&schema);
        let items: Vec<u32> = (0..40).map(|i| i % 30).collect();
        h.push(&items, &[1.0; 40], &[0.0]).unwrap();
        h.push(&[], &[], &[0.0]).unwrap();
        h.push(&[3], &[1.0], &[0.0]).unwrap();
        h
    }

    #[test]
    fn hidden_items_are_never_visible() {
        let (h, config) = (histories(), TwoTowerConfig { hide_all: 0.0, history: 12, ..TwoTowerConfig::default() });
        for i in 0..200 {
            let e = draw(&h, 0, &config, &mut generator(1, [i, 0])).unwrap();
            assert!((3..=15).contains(&e.targets.len()), "{}", e.targets.len());
            assert_eq!(e.visible.len(), 12);
            assert!(e.visible.is_sorted());
            assert!(e.visible.iter().all(|&v| !e.targets.contains(&h.items()[v])));
        }
    }

    #[test]
    fn nobody_and_one_event() {
        let (h, config) = (histories(), TwoTowerConfig::default());
        assert_eq!(draw(&h, 1, &config, &mut generator(1, [0, 0])), None);
        let e = draw(&h, 2, &config, &mut generator(1, [0, 0])).unwrap();
        assert_eq!((e.targets, e.visible), (vec![3], vec![]));
    }
}
