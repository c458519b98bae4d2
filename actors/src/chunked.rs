//! A growable array of which a snapshot is cheap: chunks are shared and copied only when written to.

use std::sync::Arc;

const CHUNK: usize = 512;

/// A persistent array. Cloning copies one pointer per 512 elements; a write to a shared chunk copies that chunk.
#[derive(Debug, Clone)]
pub struct Chunked<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Chunked<T> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The element at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Arc::make_mut(self.chunks.get_mut(index / CHUNK)?).get_mut(index % CHUNK)
    }

    /// Appends an element and says where it stands.
    pub fn push(&mut self, value: T) -> usize {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(value);
        }
        self.len += 1;
        self.len - 1
    }

    /// Where this array may differ from an earlier state of itself, ascending: chunks that both share are passed over.
    pub fn touched_since(&self, before: &Self) -> impl Iterator<Item = usize> {
        let touched = self.chunks.iter().enumerate().filter(|(n, chunk)| {
            let same = before.chunks.get(*n).is_some_and(|old| Arc::ptr_eq(old, chunk));
            !same
        });
        touched.flat_map(|(n, chunk)| n * CHUNK..n * CHUNK + chunk.len())
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_later_writes() {
        let mut live = Chunked::default();
        (0..1_300).for_each(|n| assert_eq!(live.push(n), n));
        let snapshot = live.clone();
        *live.get_mut(700).unwrap() = 0;
        live.push(1_300);
        assert_eq!((snapshot.get(700), snapshot.len()), (Some(&700), 1_300));
        assert_eq!((live.get(700), live.get(1_300), live.get(1_301)), (Some(&0), Some(&1_300), None));
        assert!(snapshot.iter().copied().eq(0..1_300));
        assert!(live.touched_since(&snapshot).eq(512..1_301));
        assert_eq!(live.touched_since(&live.clone()).count(), 0);
    }
}
