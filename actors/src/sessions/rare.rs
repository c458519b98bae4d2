//! A list that is empty for most people: one pointer while it is.

use std::ops::Deref;

/// Reads like a slice.
#[derive(Debug, Clone)]
#[expect(clippy::box_collection, reason = "the pointer is the point: 8 bytes instead of 24")]
pub struct Rare<T>(Option<Box<Vec<T>>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Rare<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |list| list)
    }
}

impl<T: PartialEq> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> FromIterator<T> for Rare<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let list: Vec<T> = items.into_iter().collect();
        Self((!list.is_empty()).then(|| Box::new(list)))
    }
}

impl<T> Rare<T> {
    /// The list, to be changed.
    pub fn list(&mut self) -> &mut Vec<T> {
        self.0.get_or_insert_default()
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(list) = &mut self.0 {
            list.retain(keep);
            if list.is_empty() {
                self.0 = None;
            }
        }
    }

    /// What it occupies beyond its own size, bytes.
    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |list| size_of::<Vec<T>>() + list.capacity() * size_of::<T>())
    }
}
