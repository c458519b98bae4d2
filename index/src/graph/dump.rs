//! Reads what hora 0.1.1 dumps: bincode 1 of `HNSWIndex`, fields in order of declaration, integers of eight
//! little-endian bytes.
//!
//! The layout is hora's private matter, so nothing is taken on trust: every scalar of the header, every vector
//! and the end of the file must be what we gave hora. A dump of another version is an error, not a wrong graph.

use std::io::Read;

/// What the dump must say.
pub(super) struct Expected<'a> {
    pub dim: usize,
    pub nodes: usize,
    pub neighbours: usize,
    pub neighbours0: usize,
    pub max_level: usize,
    pub ef_build: usize,
    pub ef_search: usize,
    /// The vectors, `nodes * dim`.
    pub vectors: &'a [f32],
}

/// hora's graph: each node's level, and the edges of level 0, which holds every node.
#[derive(Debug, PartialEq)]
pub(super) struct HoraGraph {
    pub levels: Vec<u8>,
    /// By node, and one more: where its edges begin.
    pub offsets: Vec<u32>,
    pub edges: Vec<u32>,
}

/// `metrics::Metric::Euclidean`, fourth of its enum.
const EUCLIDEAN: u32 = 3;

/// Parses a dump. `file` should be buffered.
///
/// # Errors
/// What was not as expected, in words.
pub(super) fn parse(file: impl Read, expected: &Expected<'_>) -> Result<HoraGraph, String> {
    let mut dump = Dump { file };
    let Expected { dim, nodes, .. } = *expected;
    dump.expect("dimension", dim)?;
    dump.expect("items", nodes)?;
    dump.expect("built items", nodes)?;
    dump.expect("capacity", nodes)?;
    dump.expect("neighbours", expected.neighbours)?;
    dump.expect("neighbours of level 0", expected.neighbours0)?;
    dump.expect("levels", expected.max_level)?;
    dump.expect("top level", expected.max_level)?;
    dump.expect("root", 0)?;
    dump.expect("node levels", nodes)?;
    let mut levels = Vec::with_capacity(nodes);
    for _ in 0..nodes {
        levels.push(dump.bounded("level of a node", expected.max_level.min(255))? as u8);
    }
    if dump.bytes::<1>()? != [0] {
        return Err("removals are on".into());
    }
    dump.expect("ef of the build", expected.ef_build)?;
    dump.expect("ef of searches", expected.ef_search)?;
    if u32::from_le_bytes(dump.bytes()?) != EUCLIDEAN {
        return Err("the metric is not Euclidean".into());
    }
    dump.expect("nodes with upper levels", nodes)?;
    for level in &levels {
        dump.expect("upper levels of a node", usize::from(*level))?;
        for _ in 0..*level {
            let edges = dump.bounded("edges of an upper level", expected.neighbours)?;
            for _ in 0..edges {
                dump.bounded("edge of an upper level", nodes - 1)?;
            }
        }
    }
    dump.expect("nodes of level 0", nodes)?;
    let (mut offsets, mut edges) = (vec![0], Vec::with_capacity(nodes * expected.neighbours0 / 2));
    for _ in 0..nodes {
        for _ in 0..dump.bounded("edges of level 0", expected.neighbours0)? {
            edges.push(dump.bounded("edge of level 0", nodes - 1)? as u32);
        }
        offsets.push(u32::try_from(edges.len()).map_err(|_| "more than 2³² edges")?);
    }
    dump.expect("vectors", nodes)?;
    for (node, vector) in expected.vectors.chunks_exact(dim).enumerate() {
        dump.expect("components", dim)?;
        for x in vector {
            if u32::from_le_bytes(dump.bytes()?) != x.to_bits() {
                return Err(format!("the vector of node {node} is another than was given"));
            }
        }
        if dump.bytes::<1>()? != [1] || u32::from_le_bytes(dump.bytes()?) as usize != node {
            return Err(format!("node {node} has another name than was given"));
        }
    }
    dump.expect("names", 0)?;
    dump.expect("removals", 0)?;
    dump.end()?;
    Ok(HoraGraph { levels, offsets, edges })
}

struct Dump<R> {
    file: R,
}

impl<R: Read> Dump<R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|e| format!("hora's dump ends early: {e}"))?;
        Ok(bytes)
    }

    /// An integer that is at most `most`.
    fn bounded(&mut self, what: &str, most: usize) -> Result<usize, String> {
        let got = u64::from_le_bytes(self.bytes()?);
        match usize::try_from(got) {
            Ok(value) if value <= most => Ok(value),
            _ => Err(format!("hora's dump: {what} is {got}, expected at most {most} (hora must be =0.1.1)")),
        }
    }

    fn expect(&mut self, what: &str, want: usize) -> Result<(), String> {
        let got = u64::from_le_bytes(self.bytes()?);
        if got == want as u64 {
            return Ok(());
        }
        Err(format!("hora's dump: {what} is {got}, expected {want} (hora must be =0.1.1)"))
    }

    fn end(&mut self) -> Result<(), String> {
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err("hora's dump goes on where it should end (hora must be =0.1.1)".into()),
            Err(e) => Err(format!("hora's dump: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes of two components, the second on level 1 too, joined both ways.
    fn dump() -> Vec<u8> {
        let mut bytes = Vec::new();
        let words = |bytes: &mut Vec<u8>, words: &[u64]| words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        words(&mut bytes, &[2, 2, 2, 2, 4, 8, 2, 2, 0]);
        words(&mut bytes, &[2, 2, 1]);
        bytes.push(0);
        words(&mut bytes, &[9, 9]);
        bytes.extend(EUCLIDEAN.to_le_bytes());
        words(&mut bytes, &[2, 2, 1, 1, 0, 1, 1, 0]);
        words(&mut bytes, &[2, 1, 1, 1, 0]);
        words(&mut bytes, &[2]);
        for (node, vector) in [[1.0f32, 2.0], [3.0, 4.0]].iter().enumerate() {
            words(&mut bytes, &[2]);
            vector.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
            bytes.push(1);
            bytes.extend((node as u32).to_le_bytes());
        }
        words(&mut bytes, &[0, 0]);
        bytes
    }

    fn expected() -> Expected<'static> {
        let vectors = &[1.0, 2.0, 3.0, 4.0];
        Expected { dim: 2, nodes: 2, neighbours: 4, neighbours0: 8, max_level: 2, ef_build: 9, ef_search: 9, vectors }
    }

    #[test]
    fn reads_levels_and_edges() {
        let graph = parse(&dump()[..], &expected()).unwrap();
        assert_eq!(graph, HoraGraph { levels: vec![2, 1], offsets: vec![0, 1, 2], edges: vec![1, 0] });
    }

    #[test]
    fn a_dump_cut_short_or_changed_is_an_error() {
        let whole = dump();
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], &expected()).is_err(), "{length} bytes");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(parse(&longer[..], &expected()).is_err());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            assert!(parse(&changed[..], &expected()).is_err(), "byte {at}");
        }
    }
}
