//! `item_vectors.bin`: the trained videos with their vectors and how often each was met in training.
//!
//! Layout, little-endian: `FYVECTR1`, `u32` vector length, `u32` videos, then for all videos the counts (`f32`), the
//! vectors (`f32`, row-major) and the ids (`u16` length, UTF-8). Its checksum stands in the manifest.

use foryou_schemas::VideoId;

const MAGIC: &[u8; 8] = b"FYVECTR1";

/// The videos that a release was trained on, in the order of their own-id buckets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainedItems {
    /// `[N]`.
    pub ids: Vec<VideoId>,
    /// `[N]` exposures before `trained_until`: the prior's overall counts.
    pub overall: Vec<f32>,
    /// `[N, vector_len]`, row-major.
    pub vectors: Vec<f32>,
    /// `d + 1`.
    pub vector_len: usize,
}

impl TrainedItems {
    /// The `n`-th video's vector.
    pub fn vector(&self, n: usize) -> &[f32] {
        &self.vectors[n * self.vector_len..(n + 1) * self.vector_len]
    }

    /// As a file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 4 * self.vectors.len() + 32 * self.ids.len());
        out.extend_from_slice(MAGIC);
        out.extend((self.vector_len as u32).to_le_bytes());
        out.extend((self.ids.len() as u32).to_le_bytes());
        self.overall.iter().chain(&self.vectors).for_each(|x| out.extend(x.to_le_bytes()));
        for id in &self.ids {
            out.extend((id.as_str().len() as u16).to_le_bytes());
            out.extend_from_slice(id.as_str().as_bytes());
        }
        out
    }

    /// Reads a file; the error says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with FYVECTR1")?;
        let mut take = |n: usize| -> Result<&[u8], String> {
            let (head, tail) = rest.split_at_checked(n).ok_or("it is cut short")?;
            rest = tail;
            Ok(head)
        };
        let vector_len = u32_of(take(4)?) as usize;
        let videos = u32_of(take(4)?) as usize;
        let overall = floats(take(videos * 4)?);
        let bytes = videos.checked_mul(vector_len * 4).ok_or("its lengths make no sense")?;
        let vectors = floats(take(bytes)?);
        let mut ids = Vec::with_capacity(videos);
        for _ in 0..videos {
            let len = take(2)?;
            let id = take(usize::from(u16::from_le_bytes([len[0], len[1]])))?;
            let id = std::str::from_utf8(id).map_err(|_| "an id is not UTF-8")?;
            ids.push(VideoId::new(id).map_err(|reason| format!("an id {reason}"))?);
        }
        if overall.iter().chain(&vectors).any(|x| !x.is_finite()) {
            return Err("it holds a value that is not finite".into());
        }
        Ok(Self { ids, overall, vectors, vector_len })
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_and_a_damaged_one_is_refused() {
        let items = TrainedItems {
            ids: vec![VideoId::new("v1").unwrap(), VideoId::new("zweites ☕").unwrap()],
            overall: vec![3.0, 0.0],
            vectors: vec![1.0, -2.0, 0.5, 4.0, 5.0, 6.0],
            vector_len: 3,
        };
        let file = items.encode();
        assert_eq!(TrainedItems::decode(&file).unwrap(), items);
        assert_eq!(TrainedItems::decode(&TrainedItems::default().encode()).unwrap().ids.len(), 0);
        assert!(TrainedItems::decode(&file[..file.len() - 1]).is_err());
        assert!(TrainedItems::decode(b"something else").is_err());
        let mut bad = items;
        bad.vectors[2] = f32::NAN;
        assert!(TrainedItems::decode(&bad.encode()).unwrap_err().contains("finite"));
    }
}
