//! The index file: `magic, version, counts, arrays, checksum`, little-endian.
//!
//! ```text
//! magic     8 bytes  "FORYOUIX"
//! version   u32
//! counts    8 × u64  dim, nodes, members, edges, entries, exact items, priors, 0
//! arrays             node vectors f32[nodes × dim], members u32[members], extra offsets u32[nodes + 1],
//!                    edge offsets u32[nodes + 1], edges u32[edges], exact items u32[exact items],
//!                    exact vectors f32[exact items × dim], priors f32[priors]
//! checksum  u32      CRC-32 of everything before it
//! ```
//! A dead member is written as `u32::MAX`. Without a graph, `nodes` is 0 and there are no offsets.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crc32fast::Hasher;

use crate::bits::Bits;
use crate::error::IndexError;
use crate::graph::{GraphParts, GraphSegment};
use crate::rows::Rows;
use crate::snapshot::Snapshot;
use crate::vector::{check_item, check_prior, check_vector};

const MAGIC: &[u8; 8] = b"FORYOUIX";
const VERSION: u32 = 1;
const DEAD: u32 = u32::MAX;
const HEADER: u64 = 8 + 4 + 8 * 8;

/// Writes a snapshot to a temporary file beside `path` and renames it.
pub(crate) fn save(snapshot: &Snapshot, path: &Path) -> Result<(), IndexError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let file = temporary_file(folder)?;
        let mut out = Out { file: BufWriter::new(file), hasher: Hasher::new() };
        write_snapshot(snapshot, &mut out)?;
        let checksum = out.hasher.finalize();
        out.file.write_all(&checksum.to_le_bytes())?;
        let file = out.file.into_inner().map_err(|e| e.into_error())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        // The rename itself must survive a power cut.
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| IndexError::io(path, e))
}

/// A temporary file that, unlike most, others may read once it has its name.
fn temporary_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".foryou-index-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

fn write_snapshot(snapshot: &Snapshot, out: &mut Out) -> std::io::Result<()> {
    let graph = snapshot.graph();
    let count = |f: fn(&GraphSegment) -> usize| graph.map_or(0, |graph| f(&graph.segment));
    out.bytes(MAGIC)?;
    out.bytes(&VERSION.to_le_bytes())?;
    for count in [
        snapshot.dim(),
        count(|graph| graph.rows().len()),
        count(|graph| graph.members().len()),
        count(|graph| graph.edges().len()),
        count(GraphSegment::entries),
        snapshot.exact().len(),
        snapshot.priors().len(),
        0,
    ] {
        out.bytes(&(count as u64).to_le_bytes())?;
    }
    if let Some(graph) = graph {
        let segment = &graph.segment;
        for node in 0..segment.rows().len() {
            out.floats(segment.rows().components(node))?;
        }
        let members = segment.members().iter().enumerate();
        out.words(members.map(|(position, item)| if graph.dead.get(position) { DEAD } else { *item }))?;
        out.words(segment.extra_offsets().iter().copied())?;
        out.words(segment.edge_offsets().iter().copied())?;
        out.words(segment.edges().iter().copied())?;
    }
    out.words(snapshot.exact().iter().map(|(item, _)| item))?;
    for (_, row) in snapshot.exact().iter() {
        out.floats(row.iter().flat_map(|line| line.0).take(snapshot.dim()))?;
    }
    out.floats(snapshot.priors().iter().copied())
}

/// Reads a file that [`save`] wrote. Nothing in it is trusted: length, checksum and every invariant are checked.
///
/// With `number`, item `n` becomes item `number(n)` or, for `None`, is left out; priors are then left out as well.
pub(crate) fn load(path: &Path, number: Option<&dyn Fn(u32) -> Option<u32>>) -> Result<Snapshot, IndexError> {
    let corrupt = |why: String| IndexError::Corrupt { path: path.to_owned(), why };
    let file = File::open(path).map_err(|e| IndexError::io(path, e))?;
    let length = file.metadata().map_err(|e| IndexError::io(path, e))?.len();
    let mut input = In { file: BufReader::with_capacity(1 << 16, file), hasher: Hasher::new() };

    if input.bytes::<8>().map_err(corrupt)? != *MAGIC {
        return Err(corrupt("it does not begin with FORYOUIX".into()));
    }
    let version = u32::from_le_bytes(input.bytes().map_err(corrupt)?);
    if version != VERSION {
        return Err(IndexError::Version { path: path.to_owned(), found: version, supported: VERSION });
    }
    let counts = Counts::read(&mut input).map_err(corrupt)?;
    let expected = counts.file_length();
    if u128::from(length) != expected {
        return Err(corrupt(format!("it has {length} bytes, its header announces {expected}")));
    }
    // From here on the counts are bounded by the size of the file.
    let mut contents = Contents::read(&mut input, &counts).map_err(corrupt)?;
    let checksum = input.hasher.clone().finalize();
    if u32::from_le_bytes(input.bytes().map_err(corrupt)?) != checksum {
        return Err(corrupt("its checksum is wrong".into()));
    }
    if let Some(number) = number {
        contents.renumber(number);
    }
    contents.into_snapshot(&counts).map_err(corrupt)
}

struct Counts {
    dim: usize,
    nodes: usize,
    members: usize,
    edges: usize,
    entries: usize,
    exact: usize,
    priors: usize,
}

impl Counts {
    fn read(input: &mut In) -> Result<Self, String> {
        let mut counts = [0usize; 8];
        for count in &mut counts {
            let value = u64::from_le_bytes(input.bytes()?);
            // Counts index with u32.
            *count = u32::try_from(value).map_err(|_| format!("a count in its header is {value}"))? as usize;
        }
        let [dim, nodes, members, edges, entries, exact, priors, zero] = counts;
        if !(1..=4096).contains(&dim) || zero != 0 {
            return Err(format!("its header announces vectors of {dim} components"));
        }
        Ok(Self { dim, nodes, members, edges, entries, exact, priors })
    }

    fn file_length(&self) -> u128 {
        let offsets = if self.nodes > 0 { 2 * (self.nodes + 1) } else { 0 };
        let vectors = (self.nodes as u128 + self.exact as u128) * self.dim as u128;
        let words = offsets as u128 + self.members as u128 + self.edges as u128 + self.exact as u128;
        u128::from(HEADER) + 4 * (vectors + words + self.priors as u128) + 4
    }
}

struct Contents {
    graph: Option<GraphParts>,
    exact_items: Vec<u32>,
    exact_rows: Rows,
    priors: Vec<f32>,
}

impl Contents {
    fn read(input: &mut In, counts: &Counts) -> Result<Self, String> {
        let graph = match counts.nodes {
            0 => None,
            nodes => Some(GraphParts {
                rows: input.rows(nodes, counts.dim)?,
                members: input.words(counts.members)?,
                extra_offsets: input.words(nodes + 1)?,
                edge_offsets: input.words(nodes + 1)?,
                edges: input.words(counts.edges)?,
                entries: counts.entries,
            }),
        };
        let exact_items = input.words(counts.exact)?;
        let exact_rows = input.rows(counts.exact, counts.dim)?;
        let priors: Vec<f32> = input.words(counts.priors)?.into_iter().map(f32::from_bits).collect();
        for (item, prior) in priors.iter().enumerate() {
            check_prior(item, *prior).map_err(|e| e.to_string())?;
        }
        Ok(Self { graph, exact_items, exact_rows, priors })
    }

    /// An item without a new number is dead.
    fn renumber(&mut self, number: &dyn Fn(u32) -> Option<u32>) {
        let members = self.graph.iter_mut().flat_map(|graph| &mut graph.members);
        for item in members.chain(&mut self.exact_items).filter(|item| **item != DEAD) {
            *item = number(*item).unwrap_or(DEAD);
        }
        self.priors.clear();
    }

    fn into_snapshot(self, counts: &Counts) -> Result<Snapshot, String> {
        let priors = Arc::new(self.priors);
        let mut snapshot = match self.graph {
            None => {
                let mut snapshot = Snapshot::new(counts.dim);
                snapshot.set_priors(priors);
                snapshot
            }
            Some(parts) => {
                let mut dead = Bits::new(parts.members.len());
                for (position, item) in parts.members.iter().enumerate() {
                    if *item == DEAD {
                        dead.set(position);
                    } else {
                        check_item(*item).map_err(|e| e.to_string())?;
                    }
                }
                let graph = GraphSegment::from_parts(parts)?;
                Snapshot::from_graph(counts.dim, graph, dead, priors)
            }
        };
        let exact = self.exact_items.iter().enumerate().filter(|(_, item)| **item != DEAD);
        let mut upserted = 0;
        for (row, item) in exact {
            check_item(*item).map_err(|e| e.to_string())?;
            snapshot.upsert(*item, self.exact_rows.row(row));
            upserted += 1;
        }
        let announced = snapshot.rows().count();
        let mut distinct: Vec<u32> = snapshot.rows().map(|(item, _)| item).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() != announced || snapshot.exact().len() != upserted {
            return Err("an item is in it twice".into());
        }
        Ok(snapshot)
    }
}

/// A file being written, and the checksum so far.
struct Out {
    file: BufWriter<tempfile::NamedTempFile>,
    hasher: Hasher,
}

impl Out {
    fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    fn words(&mut self, words: impl Iterator<Item = u32>) -> std::io::Result<()> {
        let mut buffer = Vec::with_capacity(4096);
        for word in words {
            buffer.extend(word.to_le_bytes());
            if buffer.len() == 4096 {
                self.bytes(&buffer)?;
                buffer.clear();
            }
        }
        self.bytes(&buffer)
    }

    fn floats(&mut self, floats: impl Iterator<Item = f32>) -> std::io::Result<()> {
        self.words(floats.map(f32::to_bits))
    }
}

/// A file being read, and the checksum so far.
struct In {
    file: BufReader<File>,
    hasher: Hasher,
}

impl In {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.file.read_exact(bytes).map_err(|e| format!("it ends early or cannot be read: {e}"))?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn words(&mut self, count: usize) -> Result<Vec<u32>, String> {
        let mut words = Vec::with_capacity(count);
        let mut buffer = [0; 4096];
        while words.len() < count {
            let bytes = &mut buffer[..4 * (count - words.len()).min(1024)];
            self.fill(bytes)?;
            words.extend(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)));
        }
        Ok(words)
    }

    fn rows(&mut self, count: usize, dim: usize) -> Result<Rows, String> {
        let mut rows = Rows::with_capacity(dim, count);
        for _ in 0..count {
            let vector: Vec<f32> = self.words(dim)?.into_iter().map(f32::from_bits).collect();
            check_vector(&vector, dim).map_err(|e| e.to_string())?;
            rows.push(&vector);
        }
        Ok(rows)
    }
}
