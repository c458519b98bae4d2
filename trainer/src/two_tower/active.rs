//! The items that a step needs vectors of.

use std::collections::HashMap;

use rand::Rng;
use rand::rngs::SmallRng;

use super::examples::Example;
use super::softmax::Candidates;
use super::{Histories, Softmax};

/// The items of one step, candidates of the softmax first, and the examples' targets and events as indices into them.
#[derive(Debug, Default)]
pub(crate) struct Active {
    /// Rows of the catalogue.
    pub(crate) items: Vec<u32>,
    /// Over which of them the softmax normalises.
    pub(crate) candidates: Candidates,
    /// Catalogue row to index, for the rows in `items`; `None` when `items` is the whole catalogue in order.
    index: Option<HashMap<u32, u32>>,
}

impl Active {
    /// Index of a catalogue row that the step needs.
    pub(crate) fn index(&self, item: u32) -> u32 {
        self.index.as_ref().map_or(item, |index| index[&item])
    }
}

/// Chooses the items of a step.
#[derive(Debug)]
pub(crate) struct ItemChooser {
    catalogue: usize,
    /// Uniform draws; `None` for the full softmax.
    negatives: Option<usize>,
    /// Share of all (person, item) pairs, `[N]`: the chance that a target is this item.
    shares: Vec<f32>,
}

impl ItemChooser {
    pub(crate) fn new(catalogue: usize, histories: &Histories, softmax: Softmax) -> Self {
        let Softmax::Auto { full_up_to, negatives } = softmax;
        let negatives = (catalogue > full_up_to).then_some(negatives.max(1));
        let mut shares = vec![0.0; catalogue];
        histories.items().iter().for_each(|&item| shares[item as usize] += 1.0);
        let total = histories.events().max(1) as f32;
        shares.iter_mut().for_each(|s| *s /= total);
        Self { catalogue, negatives, shares }
    }

    /// The items that `examples` need.
    ///
    /// In a sampled softmax the candidates are the batch's own targets and uniform draws. An item is among them with
    /// probability `1 - (1 - share)^targets (1 - 1/N)^draws`, which the correction undoes: the estimated sum is that of
    /// the full softmax, popular items included.
    pub(crate) fn choose(&self, examples: &[Example], histories: &Histories, rng: &mut SmallRng) -> Active {
        let Some(negatives) = self.negatives else {
            let candidates = Candidates { len: self.catalogue, corrections: Vec::new() };
            return Active { items: (0..self.catalogue as u32).collect(), candidates, index: None };
        };
        let mut items = Vec::new();
        let mut index = HashMap::new();
        let mut take = |item: u32| {
            index.entry(item).or_insert_with(|| {
                items.push(item);
                items.len() as u32 - 1
            });
            items.len()
        };
        let targets: usize = examples.iter().map(|e| e.targets.len()).sum();
        let mut len = 0;
        for &target in examples.iter().flat_map(|e| &e.targets) {
            len = take(target);
        }
        for _ in 0..negatives {
            len = take(rng.random_range(0..self.catalogue as u32));
        }
        for &event in examples.iter().flat_map(|e| &e.visible) {
            take(histories.items()[event]);
        }
        let missed_by_draws = (1.0 - 1.0 / self.catalogue as f64).powf(negatives as f64);
        let correction = |&item: &u32| {
            let missed_as_target = (1.0 - f64::from(self.shares[item as usize])).powf(targets as f64);
            -(1.0 - missed_as_target * missed_by_draws).ln() as f32
        };
        let corrections = items[..len].iter().map(correction).collect();
        Active { items, candidates: Candidates { len, corrections }, index: Some(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::generator;
    use super::*;
    use crate::two_tower::{IdGroup, TowerSchema};

    #[test]
    fn corrections_make_the_sampled_sum_unbiased() {
        let schema = TowerSchema {
            id_groups: vec![IdGroup::new("video", 2, 1)],
            content: vec!["c".into()],
            actions: vec!["a".into()],
            profile: vec!["p".into()],
        };
        let mut histories = Histories::new(&schema);
        // Item i of 50 is met i + 1 times.
        let items: Vec<u32> = (0..50u32).flat_map(|i| std::iter::repeat_n(i, i as usize + 1)).collect();
        histories.push(&items, &vec![0.0; items.len()], &[0.0]).unwrap();
        let chooser = ItemChooser::new(50, &histories, Softmax::Auto { full_up_to: 0, negatives: 10 });
        let mut rng = generator(1, [0, 0]);
        let (mut sum, rounds) = (0.0, 4000);
        for _ in 0..rounds {
            let targets = (0..8).map(|_| items[rng.random_range(0..items.len())]).collect();
            let examples = [Example { user: 0, visible: vec![0], targets }];
            let active = chooser.choose(&examples, &histories, &mut rng);
            assert_eq!(active.items[active.index(0) as usize], 0);
            // Every item's summand is its number, so the full sum is 0 + 1 + .. + 49.
            let chosen = active.items.iter().zip(&active.candidates.corrections);
            sum += chosen.map(|(&i, c)| f64::from(i) * f64::from(*c).exp()).sum::<f64>();
        }
        assert!((sum / f64::from(rounds) / 1225.0 - 1.0).abs() < 0.02, "{}", sum / f64::from(rounds));
    }
}
