//! Names to dense numbers and back, growing for as long as the server runs.

use std::{borrow::Borrow, hash::Hash, sync::Arc};

use crate::chunked::Chunked;

/// Gives each distinct name the next number. A clone is a snapshot: it does not know names that are added later.
///
/// One writer; the name → number map is shared by all snapshots, read without locks.
#[derive(Clone)]
pub struct Dictionary<N> {
    names: Chunked<N>,
    numbers: Arc<papaya::HashMap<N, u32>>,
}

impl<N> Default for Dictionary<N>
where
    N: Hash + Eq,
{
    fn default() -> Self {
        Self { names: Chunked::default(), numbers: Arc::new(papaya::HashMap::new()) }
    }
}

impl<N: Clone + Hash + Eq> Dictionary<N> {
    /// The number of `name`, if this snapshot knows it.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<u32>
    where
        N: Borrow<Q>,
    {
        let number = *self.numbers.pin().get(name)?;
        ((number as usize) < self.names.len()).then_some(number)
    }

    /// The name behind `number`.
    pub fn name(&self, number: u32) -> Option<&N> {
        self.names.get(number as usize)
    }

    /// The number of `name`, given now if it is new.
    pub fn intern(&mut self, name: &N) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = self.names.push(name.clone()) as u32;
        self.numbers.pin().insert(name.clone(), number);
        number
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &N> {
        self.names.iter()
    }
}
