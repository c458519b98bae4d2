//! A trained two-tower model.

use crate::error::{check_finite, check_len};
use crate::{Matrix, TrainError};

use super::item_tower::ItemTower;
use super::standardise::Standardiser;
use super::user_batch::{Event, UserBatch};
use super::user_tower::UserTower;
use super::{History, ItemTable, LOGIT_SCALE, TowerSchema};

/// A trained two-tower model.
#[derive(Debug, Clone)]
pub struct TwoTower {
    pub(crate) schema: TowerSchema,
    pub(crate) history: usize,
    pub(crate) items: ItemTower,
    pub(crate) users: UserTower,
    pub(crate) actions: Standardiser,
    pub(crate) profile: Standardiser,
}

impl TwoTower {
    /// `d + 1`: the length of item and user vectors.
    pub fn vector_len(&self) -> usize {
        self.users.sizes.dim + 1
    }

    /// The columns it was trained with.
    pub fn schema(&self) -> &TowerSchema {
        &self.schema
    }

    /// How many last events the user tower was trained to see.
    pub fn history(&self) -> usize {
        self.history
    }

    /// Vectors `[N, d + 1]` of any items, trained or new (bucket 0 in the first id column).
    pub fn item_vectors(&self, items: &ItemTable) -> Result<Matrix, TrainError> {
        items.check(&self.schema)?;
        let mut vectors = self.items.forward_all(items);
        let dim = self.users.sizes.dim;
        for i in 0..vectors.rows() {
            vectors.row_mut(i)[..dim].iter_mut().for_each(|x| *x *= LOGIT_SCALE);
        }
        Ok(vectors)
    }

    /// The vector `[d + 1]` of a person. Only the last [`TwoTower::history`] events are read; an empty history gives
    /// the learned base vector.
    pub fn user_vector(&self, history: History<'_>) -> Result<Vec<f32>, TrainError> {
        let (dim, width) = (self.users.sizes.dim, self.schema.actions.len());
        let events = history.items.len() / (dim + 1);
        check_len("item vectors of a history", events * (dim + 1), history.items.len())?;
        check_len("actions of a history", events * width, history.actions.len())?;
        check_len("profile", self.schema.profile.len(), history.profile.len())?;
        check_finite("item vectors of a history", history.items)?;
        check_finite("actions of a history", history.actions)?;
        check_finite("profile", history.profile)?;

        let skip = events.saturating_sub(self.history);
        let events = events - skip;
        // A power of two: the division is exact.
        let vectors: Vec<f32> = history.items[skip * (dim + 1)..].iter().map(|x| x / LOGIT_SCALE).collect();
        let mut actions = vec![0.0; events * width];
        for (raw, out) in history.actions[skip * width..].chunks_exact(width).zip(actions.chunks_exact_mut(width)) {
            self.actions.apply(raw, out);
        }
        let mut profile = vec![0.0; history.profile.len()];
        self.profile.apply(history.profile, &mut profile);
        let event = |(i, actions)| Event { vector: i as u32, actions };
        let person = (actions.chunks_exact(width).enumerate().map(event).collect(), profile.as_slice());
        let mut user = Vec::with_capacity(dim + 1);
        UserBatch::default().forward(&self.users, &vectors, &[person], || 1.0, &mut user);
        user.push(1.0);
        Ok(user)
    }

    /// The item tower as an ONNX file; `metadata` is written beside the schema's own.
    ///
    /// Inputs `ids` int64 `[N, I]` (as in [`ItemTable::new`]; ids outside the tables fail) and `content` float `[N, C]`, raw;
    /// output `vectors` float `[N, d + 1]`, equal to [`TwoTower::item_vectors`]. Own metadata: `id_groups`
    /// (`name:buckets:width`, comma-separated) and `content` (names).
    pub fn item_tower_onnx(&self, metadata: &[(String, String)]) -> Vec<u8> {
        super::export::item_tower(self, metadata)
    }

    /// The user tower as an ONNX file; `metadata` is written beside the schema's own.
    ///
    /// Inputs, all float and raw: `items` `[B, L, d + 1]` (item vectors as stored; the last dimension is ignored), `actions`
    /// `[B, L, A]`, `mask` `[B, L]` (1 for an event, 0 for padding, which must still be finite) and `profile` `[B, P]`; output
    /// `vector` float `[B, d + 1]`, equal to [`TwoTower::user_vector`]. The order of events does not matter, but give it no
    /// more than [`TwoTower::history`]. `L` is at least 1: an empty history is one row of padding. Own metadata: `actions`,
    /// `profile` (names) and `history`.
    pub fn user_tower_onnx(&self, metadata: &[(String, String)]) -> Vec<u8> {
        super::export::user_tower(self, metadata)
    }
}
