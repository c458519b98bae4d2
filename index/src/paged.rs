//! A vector that is cheap to copy and change: pages are shared until they are written.

use std::sync::Arc;

const PAGE: usize = 1024;

/// An array of `T` that grows on `set`; what was never set reads as `T::default()`.
///
/// A clone shares every page; a write copies one page of 1024 entries at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paged<T> {
    pages: Vec<Arc<[T; PAGE]>>,
}

impl<T: Copy + Default> Paged<T> {
    pub fn get(&self, at: usize) -> T {
        self.pages.get(at / PAGE).map_or_else(T::default, |page| page[at % PAGE])
    }

    pub fn set(&mut self, at: usize, value: T) {
        let page = at / PAGE;
        if page >= self.pages.len() {
            // Pages of a gap are one shared page of defaults.
            self.pages.resize(page + 1, Arc::new([T::default(); PAGE]));
        }
        Arc::make_mut(&mut self.pages[page])[at % PAGE] = value;
    }

    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut a = Paged::<u32>::default();
        a.set(5000, 7);
        let b = a.clone();
        a.set(5000, 8);
        a.set(1, 1);
        assert_eq!((a.get(5000), b.get(5000), b.get(1), b.get(9_999_999)), (8, 7, 0, 0));
    }
}
