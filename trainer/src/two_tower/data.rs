//! What the towers are trained on and asked with.

use crate::error::{check_finite, check_len};
use crate::{Matrix, TrainError};

use super::TowerSchema;

/// The catalogue: for each item its id columns and its float content.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemTable {
    ids: Vec<i64>,
    content: Matrix,
}

impl ItemTable {
    /// `ids` is row-major `[N, I]` in the order of [`TowerSchema::id_groups`]; `content` is `[N, C]`.
    pub fn new(schema: &TowerSchema, ids: Vec<i64>, content: Matrix) -> Result<Self, TrainError> {
        schema.check()?;
        check_finite("item content", content.data())?;
        let table = Self { ids, content };
        table.check(schema)?;
        Ok(table)
    }

    /// Whether a model with this schema can read the table.
    pub(crate) fn check(&self, schema: &TowerSchema) -> Result<(), TrainError> {
        check_len("item content columns", schema.content.len(), self.content.cols())?;
        check_len("item ids", self.len() * schema.id_width(), self.ids.len())?;
        let columns = schema.column_groups();
        for row in self.ids.chunks_exact(columns.len()) {
            for (&id, &group) in row.iter().zip(&columns) {
                let limit = schema.id_groups[group].buckets;
                if id < 0 || id >= limit as i64 {
                    return Err(TrainError::OutOfRange { what: "item id bucket", index: id, limit });
                }
            }
        }
        Ok(())
    }

    /// Number of items, `N`.
    pub fn len(&self) -> usize {
        self.content.rows()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Id buckets, row-major `[N, I]`.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Float content, `[N, C]`.
    pub fn content(&self) -> &Matrix {
        &self.content
    }
}

/// Everybody's events, oldest first.
///
/// A person's events may mention the same item again; when it is hidden, all its events are.
#[derive(Debug, Clone, PartialEq)]
pub struct Histories {
    offsets: Vec<usize>,
    items: Vec<u32>,
    actions: Matrix,
    profiles: Matrix,
}

impl Histories {
    /// Nobody yet.
    pub fn new(schema: &TowerSchema) -> Self {
        Self {
            offsets: vec![0],
            items: Vec::new(),
            actions: Matrix::zeros(0, schema.actions.len()),
            profiles: Matrix::zeros(0, schema.profile.len()),
        }
    }

    /// Adds a person: `items` are rows of the [`ItemTable`], oldest event first; `actions` is row-major
    /// `[items.len(), A]`; `profile` has `P` values.
    pub fn push(&mut self, items: &[u32], actions: &[f32], profile: &[f32]) -> Result<(), TrainError> {
        check_len("actions of a history", items.len() * self.actions.cols(), actions.len())?;
        check_len("profile", self.profiles.cols(), profile.len())?;
        check_finite("actions of a history", actions)?;
        check_finite("profile", profile)?;
        for row in actions.chunks_exact(self.actions.cols()) {
            self.actions.push_row(row)?;
        }
        self.profiles.push_row(profile)?;
        self.items.extend_from_slice(items);
        self.offsets.push(self.items.len());
        Ok(())
    }

    /// Number of people.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of events of all people.
    pub fn events(&self) -> usize {
        self.items.len()
    }

    /// Where the events of person `user` lie.
    pub(crate) fn range(&self, user: usize) -> std::ops::Range<usize> {
        self.offsets[user]..self.offsets[user + 1]
    }

    /// Item rows of all events.
    pub(crate) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Actions of all events, `[events, A]`.
    pub(crate) fn actions(&self) -> &Matrix {
        &self.actions
    }

    /// Profiles, `[people, P]`.
    pub(crate) fn profiles(&self) -> &Matrix {
        &self.profiles
    }
}

/// One person's state, as the user tower reads it. `L` may be 0.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// Item vectors of the last events, row-major `[L, d + 1]`, in the layout of the module docs.
    pub items: &'a [f32],
    /// What the person did with each, row-major `[L, A]`.
    pub actions: &'a [f32],
    /// The person, `[P]`.
    pub profile: &'a [f32],
}
