//! A fixed-size set of positions.

/// One bit per position.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    ones: usize,
}

impl Bits {
    /// `len` positions, none set.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], ones: 0 }
    }

    #[inline]
    pub fn get(&self, at: usize) -> bool {
        self.words[at / 64] >> (at % 64) & 1 == 1
    }

    pub fn set(&mut self, at: usize) {
        let (word, bit) = (&mut self.words[at / 64], 1 << (at % 64));
        self.ones += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// Positions that are set.
    pub fn ones(&self) -> usize {
        self.ones
    }

    pub fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_position_once() {
        let mut bits = Bits::new(130);
        bits.set(129);
        bits.set(129);
        bits.set(0);
        assert!(bits.get(129) && bits.get(0) && !bits.get(64));
        assert_eq!(bits.ones(), 2);
    }
}
