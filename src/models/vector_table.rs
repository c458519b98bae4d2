//! Item vectors by dense number, of which a snapshot is cheap and a lookup copies nothing.

use std::sync::Arc;

use foryou_actors::catalogue::VideoIndex;

use crate::features::ItemVectors;

/// Rows that are shared until one of them is written: 16 KB at d = 64.
const CHUNK: usize = 64;

/// A persistent table of vectors. Cloning copies one pointer per 64 videos; a write copies the chunk it falls into.
#[derive(Debug, Clone, Default)]
pub struct VectorTable {
    dim: usize,
    chunks: Vec<Arc<Chunk>>,
}

#[derive(Debug, Clone)]
struct Chunk {
    /// Bit `n` is set where row `n` holds a vector.
    present: u64,
    rows: Box<[f32]>,
}

impl VectorTable {
    /// An empty table of vectors with `dim` components.
    pub fn new(dim: usize) -> Self {
        Self { dim, chunks: Vec::new() }
    }

    /// Sets a video's vector; one of another length is ignored.
    pub fn set(&mut self, video: VideoIndex, vector: &[f32]) {
        if vector.len() != self.dim {
            return;
        }
        let (chunk, row) = (video as usize / CHUNK, video as usize % CHUNK);
        while self.chunks.len() <= chunk {
            let rows = vec![0.0; CHUNK * self.dim].into();
            self.chunks.push(Arc::new(Chunk { present: 0, rows }));
        }
        let chunk = Arc::make_mut(&mut self.chunks[chunk]);
        chunk.present |= 1 << row;
        chunk.rows[row * self.dim..(row + 1) * self.dim].copy_from_slice(vector);
    }

    /// How many videos have a vector.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.present.count_ones() as usize).sum()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ItemVectors for VectorTable {
    #[inline]
    fn vector(&self, video: VideoIndex) -> Option<&[f32]> {
        let (chunk, row) = (video as usize / CHUNK, video as usize % CHUNK);
        let chunk = self.chunks.get(chunk)?;
        (chunk.present >> row & 1 == 1).then(|| &chunk.rows[row * self.dim..(row + 1) * self.dim])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_its_vectors() {
        let mut live = VectorTable::new(2);
        live.set(70, &[1.0, 2.0]);
        let snapshot = live.clone();
        live.set(70, &[3.0, 4.0]);
        live.set(1, &[5.0, 6.0]);
        live.set(2, &[7.0]);
        assert_eq!((snapshot.vector(70), snapshot.vector(1)), (Some(&[1.0, 2.0][..]), None));
        assert_eq!((live.vector(70), live.vector(1)), (Some(&[3.0, 4.0][..]), Some(&[5.0, 6.0][..])));
        assert_eq!((live.vector(2), live.vector(999), live.len()), (None, None, 2));
    }
}
