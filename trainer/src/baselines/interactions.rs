//! Sparse user-item lists.

use crate::TrainError;

/// For each person the items met, without order or repetition; and the same by item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interactions {
    by_user: Vec<Vec<u32>>,
    items: usize,
}

impl Interactions {
    /// One list per person over items `0..items`; repetitions are dropped.
    pub fn new(items: usize, mut by_user: Vec<Vec<u32>>) -> Result<Self, TrainError> {
        for list in &mut by_user {
            list.sort_unstable();
            list.dedup();
            if let Some(&last) = list.last().filter(|&&i| i as usize >= items) {
                return Err(TrainError::OutOfRange { what: "item", index: i64::from(last), limit: items });
            }
        }
        Ok(Self { by_user, items })
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of people.
    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    /// Items of one person, ascending.
    pub fn of_user(&self, user: usize) -> &[u32] {
        &self.by_user[user]
    }

    /// For each item the people who met it, ascending.
    pub(crate) fn by_item(&self) -> Vec<Vec<u32>> {
        let mut by_item = vec![Vec::new(); self.items];
        for (user, list) in self.by_user.iter().enumerate() {
            for &item in list {
                by_item[item as usize].push(user as u32);
            }
        }
        by_item
    }
}
