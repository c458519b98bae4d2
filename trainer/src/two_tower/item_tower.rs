//! The item tower: a sum of embeddings and a linear map of the float content.
//!
//! `[v, b] = sum over id columns of table[id] + W content' + w0`, all `d + 1` wide. A video's vector is what is known of it
//! plus what was learned about it alone (Kula, *LightFM*, 2015), so one that was never trained on is the sum of its content.
//! Leaving the own id out at random in training ([`super::TwoTowerConfig::id_dropout`]) keeps that sum useful.

use rand::Rng;
use rand::rngs::SmallRng;

use crate::Matrix;

use super::adamw::{Param, Step, Table};
use super::random::normal;
use super::standardise::Standardiser;
use super::{ItemTable, TowerSchema};

/// Deviation of the embeddings at the start.
const INIT: f32 = 0.05;

/// Weights of the item tower. `width` is `d + 1`.
#[derive(Debug, Clone)]
pub(crate) struct ItemTower {
    pub(crate) width: usize,
    pub(crate) column_groups: Vec<usize>,
    pub(crate) tables: Vec<Table>,
    pub(crate) content: Standardiser,
    /// `[C, width]`
    pub(crate) content_weights: Param,
    /// `[width]`
    pub(crate) base: Param,
}

impl ItemTower {
    pub(crate) fn new(schema: &TowerSchema, dim: usize, items: &ItemTable, rng: &mut SmallRng) -> Self {
        let width = dim + 1;
        let mut table = |buckets: usize| {
            let mut weights = normal(buckets * width, INIT, rng);
            weights.chunks_exact_mut(width).for_each(|row| row[dim] = 0.0);
            Table::new(weights, width)
        };
        Self {
            width,
            column_groups: schema.column_groups(),
            tables: schema.id_groups.iter().map(|g| table(g.buckets)).collect(),
            content: Standardiser::fit(items.content()),
            content_weights: Param::new(vec![0.0; schema.content.len() * width]),
            base: Param::new(vec![0.0; width]),
        }
    }

    /// Writes `[v, b]` of one item; `content` is standardised. Without `own_id` its own embedding is left out.
    pub(crate) fn forward(&self, ids: &[i64], content: &[f32], own_id: bool, out: &mut [f32]) {
        out.copy_from_slice(&self.base.weights);
        for (column, (&id, &group)) in ids.iter().zip(&self.column_groups).enumerate() {
            if id != 0 && (own_id || column > 0) {
                add(out, self.tables[group].row(id as usize), 1.0);
            }
        }
        for (&x, weights) in content.iter().zip(self.content_weights.weights.chunks_exact(self.width)) {
            add(out, weights, x);
        }
    }

    /// Adds the gradients that follow from `grads`, the gradient of `[v, b]` for each of `batch`.
    pub(crate) fn backward(&mut self, batch: &ItemBatch<'_>, grads: &[f32], threads: usize) {
        let width = self.width;
        for (i, grad) in grads.chunks_exact(width).enumerate() {
            add(&mut self.base.grad, grad, 1.0);
            let content = batch.content.row(batch.items[i] as usize);
            for (&x, weights) in content.iter().zip(self.content_weights.grad.chunks_exact_mut(width)) {
                add(weights, grad, x);
            }
        }
        let groups = self.column_groups.clone();
        self.for_each_table(threads, |group, table| {
            for (column, _) in groups.iter().enumerate().filter(|(_, g)| **g == group) {
                for (i, grad) in grads.chunks_exact(width).enumerate() {
                    if column > 0 || batch.own_id[i] {
                        let ids = batch.ids_of(batch.items[i] as usize);
                        table.add_grad(ids[column] as usize, grad);
                    }
                }
            }
        });
    }

    /// Takes one step with the gradients added so far.
    pub(crate) fn step(&mut self, step: Step, threads: usize) {
        self.content_weights.step(step);
        self.base.step(step);
        self.for_each_table(threads, |_, table| table.step(step));
    }

    /// Tables are independent of each other: the own-id table, which comes first and is the largest, gets a thread.
    fn for_each_table(&mut self, threads: usize, work: impl Fn(usize, &mut Table) + Sync) {
        let (first, rest) = self.tables.split_at_mut(1);
        let mut others = || rest.iter_mut().enumerate().for_each(|(g, table)| work(g + 1, table));
        if threads == 1 {
            others();
            work(0, &mut first[0]);
        } else {
            std::thread::scope(|scope| {
                scope.spawn(others);
                work(0, &mut first[0]);
            });
        }
    }

    /// `[v, b]` of whole catalogues, `[N, d + 1]`.
    pub(crate) fn forward_all(&self, items: &ItemTable) -> Matrix {
        let mut out = Matrix::zeros(items.len(), self.width);
        let mut content = vec![0.0; self.content.mean.len()];
        let columns = self.column_groups.len();
        for i in 0..items.len() {
            self.content.apply(items.content().row(i), &mut content);
            self.forward(&items.ids()[i * columns..(i + 1) * columns], &content, true, out.row_mut(i));
        }
        out
    }
}

/// The items whose vectors a step needs.
pub(crate) struct ItemBatch<'a> {
    /// Rows of the catalogue.
    pub(crate) items: &'a [u32],
    /// Whether each shows its own id in this step.
    pub(crate) own_id: &'a [bool],
    /// The catalogue's ids, `[N, I]`.
    pub(crate) ids: &'a [i64],
    /// The catalogue's standardised content, `[N, C]`.
    pub(crate) content: &'a Matrix,
}

impl ItemBatch<'_> {
    pub(crate) fn ids_of(&self, item: usize) -> &[i64] {
        let columns = self.ids.len() / self.content.rows();
        &self.ids[item * columns..(item + 1) * columns]
    }

    /// `[v, b]` of every item of the batch, `[M, d + 1]`, by `threads`.
    pub(crate) fn forward(&self, tower: &ItemTower, threads: usize, out: &mut Vec<f32>) {
        let width = tower.width;
        out.resize(self.items.len() * width, 0.0);
        let part = self.items.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            for (p, rows) in out.chunks_mut(part * width).enumerate() {
                scope.spawn(move || {
                    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                        let (item, own_id) = (self.items[p * part + i] as usize, self.own_id[p * part + i]);
                        tower.forward(self.ids_of(item), self.content.row(item), own_id, row);
                    }
                });
            }
        });
    }
}

/// Draws which items leave their own id out.
pub(crate) fn draw_own_ids(n: usize, dropout: f32, rng: &mut SmallRng) -> Vec<bool> {
    (0..n).map(|_| rng.random::<f32>() >= dropout).collect()
}

fn add(out: &mut [f32], x: &[f32], factor: f32) {
    out.iter_mut().zip(x).for_each(|(o, x)| *o += factor * x);
}

#[cfg(test)]
mod tests {
    use super::super::IdGroup;
    use super::super::random::generator;
    use super::*;

    /// The gradient of `sum of g . [v, b]` over a batch, against finite differences.
    #[test]
    fn gradients() {
        let schema = TowerSchema {
            id_groups: vec![IdGroup::new("video", 4, 1), IdGroup::new("tag", 3, 2)],
            content: vec!["x".into(), "y".into()],
            actions: vec!["a".into()],
            profile: vec!["p".into()],
        };
        let content = Matrix::from_vec(3, 2, vec![1.0, 2.0, -1.0, 0.5, 3.0, 0.0]).unwrap();
        // The last item has the same tag twice and no id of its own.
        let items = ItemTable::new(&schema, vec![1, 1, 2, 3, 2, 0, 0, 1, 1], content).unwrap();
        let mut rng = generator(1, [0, 0]);
        let mut tower = ItemTower::new(&schema, 3, &items, &mut rng);
        let standard = tower.content.apply_all(items.content());
        let (rows, own_id, weights) = ([0, 1, 2, 1], [true, true, true, false], normal(16, 1.0, &mut rng));
        let batch = ItemBatch { items: &rows, own_id: &own_id, ids: items.ids(), content: &standard };
        tower.backward(&batch, &weights, 2);

        let value = |tower: &ItemTower| -> f32 {
            let mut out = Vec::new();
            batch.forward(tower, 2, &mut out);
            out.iter().zip(&weights).map(|(a, b)| a * b).sum()
        };
        let check = |name: &str, tower: &mut ItemTower, at: &dyn Fn(&mut ItemTower) -> &mut Param, from: usize| {
            for i in from..at(tower).weights.len() {
                let (old, got) = (at(tower).weights[i], at(tower).grad[i]);
                at(tower).weights[i] = old + 0.5;
                let up = value(tower);
                at(tower).weights[i] = old - 0.5;
                let want = up - value(tower);
                at(tower).weights[i] = old;
                assert!((got - want).abs() < 1e-4, "{name}[{i}]: {got}, want {want}");
            }
        };
        check("base", &mut tower, &|t| &mut t.base, 0);
        check("content", &mut tower, &|t| &mut t.content_weights, 0);
        check("videos", &mut tower, &|t| &mut t.tables[0].param, 4);
        check("tags", &mut tower, &|t| &mut t.tables[1].param, 4);
    }
}
