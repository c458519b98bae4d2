//! The log on disk: segments of records, each named by its first tag, each with a file of the tags that are settled.
//!
//! A segment whose events are all settled is deleted, wherever it stands; settling writes to the page cache only, so a power
//! loss may forget some of it (those events come again), a killed process does not.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::record;

/// Tag and partition before each payload.
const PREFIX: usize = 10;
/// By how much the file grows at a time. What is written over its zeros changes no metadata, so most syncs wait for the events alone.
const GROWTH: u64 = 512 << 10;

/// One file of events.
struct Segment {
    tags: Range<u64>,
    unsettled: u64,
    settled: File,
}

/// The segments of a folder, and what is settled of them.
pub struct Segments {
    dir: PathBuf,
    /// By tag, not empty; the last one grows.
    list: Vec<Segment>,
}

/// The end of the log. The writer alone has it, so that nobody who settles events waits for the disk.
pub struct Appender {
    dir: PathBuf,
    file: File,
    /// Bytes of `file` that hold whole records; zeros follow up to `grown`.
    written: u64,
    grown: u64,
    max_bytes: u64,
    next_tag: u64,
}

/// An event as read from the log.
pub struct Logged<'a> {
    pub tag: u64,
    pub partition: u16,
    pub payload: &'a [u8],
}

/// Opens a folder's log, whose segments end after `max_bytes`, and visits what is not settled, in order.
pub fn open(dir: &Path, max_bytes: u64, mut visit: impl FnMut(Logged<'_>)) -> io::Result<(Segments, Appender)> {
    let mut firsts = Vec::new();
    for file in fs::read_dir(dir)? {
        let name = file?.file_name();
        firsts.extend(
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|first| first.parse::<u64>().ok()),
        );
    }
    firsts.sort_unstable();
    let (mut list, mut next_tag) = (Vec::new(), 1);
    for (n, first) in firsts.iter().enumerate() {
        let segment = recover(dir, *first, n + 1 == firsts.len(), &mut visit)?;
        next_tag = segment.tags.end;
        list.push(segment);
    }
    // A new file rather than the old one's end: whatever a crash left there is out of the way. It is made before the settled
    // ones are deleted, since it is what remembers the next tag.
    list.pop_if(|last| last.tags.is_empty());
    let (segment, file) = create(dir, next_tag)?;
    let (kept, settled): (Vec<_>, Vec<_>) = list.into_iter().partition(|segment| segment.unsettled > 0);
    for segment in settled {
        remove(dir, segment.tags.start)?;
    }
    let list = kept.into_iter().chain([segment]).collect();
    let appender = Appender { dir: dir.into(), file, written: 0, grown: 0, max_bytes, next_tag };
    Ok((Segments { dir: dir.into(), list }, appender))
}

impl Appender {
    /// The tag that the next event gets.
    pub fn next_tag(&self) -> u64 {
        self.next_tag
    }

    /// Writes events (partition, payload) and waits until the disk has them; returns their tags.
    pub fn append<'a>(
        &mut self,
        segments: &Mutex<Segments>,
        events: impl Iterator<Item = (u16, &'a [u8])>,
    ) -> Result<Range<u64>, AppendError> {
        if self.written >= self.max_bytes {
            self.rotate(segments).map_err(AppendError::Refused)?;
        }
        let (mut bytes, mut tag) = (Vec::new(), self.next_tag);
        for (partition, payload) in events {
            record::append(&mut bytes, |out| {
                out.extend_from_slice(&tag.to_le_bytes());
                out.extend_from_slice(&partition.to_le_bytes());
                out.extend_from_slice(payload);
            });
            tag += 1;
        }
        let written = self.written + bytes.len() as u64;
        if written > self.grown {
            let grown = written.next_multiple_of(GROWTH).min(self.max_bytes).max(written);
            bytes.resize((grown - self.written) as usize, 0);
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.written) {
            // Out of space, usually: what was written of it must not be taken for events later.
            self.file.set_len(self.written).map_err(AppendError::Broken)?;
            self.grown = self.written;
            return Err(AppendError::Refused(error));
        }
        // After a failed sync the page cache may claim what the disk does not have, so it cannot be tried again.
        self.file.sync_data().map_err(AppendError::Broken)?;
        self.grown = self.grown.max(self.written + bytes.len() as u64);
        self.written = written;
        let tags = self.next_tag..tag;
        self.next_tag = tag;
        if let Some(segment) = segments.lock().list.last_mut() {
            segment.tags.end = tags.end;
            segment.unsettled += tags.end - tags.start;
        }
        Ok(tags)
    }

    fn rotate(&mut self, segments: &Mutex<Segments>) -> io::Result<()> {
        let (segment, file) = create(&self.dir, self.next_tag)?;
        (self.file, self.written, self.grown) = (file, 0, 0);
        let mut segments = segments.lock();
        let full = segments.list.pop_if(|full| full.unsettled == 0);
        segments.list.push(segment);
        full.map_or(Ok(()), |full| remove(&self.dir, full.tags.start))
    }
}

impl Segments {
    /// Notes that events are settled. `tags` are sorted, and none was settled before.
    pub fn settle(&mut self, tags: &[u64]) -> io::Result<()> {
        let mut left = tags;
        while let Some(&first) = left.first() {
            let n = self.list.partition_point(|segment| segment.tags.end <= first);
            let Some(segment) = self.list.get_mut(n) else { break };
            let (here, rest) = left.split_at(left.partition_point(|tag| *tag < segment.tags.end));
            left = rest;
            segment.settle(here)?;
            if segment.unsettled == 0 && n + 1 < self.list.len() {
                remove(&self.dir, self.list.remove(n).tags.start)?;
            }
        }
        Ok(())
    }
}

/// Why events were not appended.
pub enum AppendError {
    /// They were not, and the log is as before.
    Refused(io::Error),
    /// It is not known what the disk holds.
    Broken(io::Error),
}

impl Segment {
    fn settle(&mut self, tags: &[u64]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for run in tags.chunk_by(|a, b| a + 1 == *b) {
            record::append(&mut bytes, |out| {
                out.extend_from_slice(&run[0].to_le_bytes());
                out.extend_from_slice(&(run.len() as u64).to_le_bytes());
            });
        }
        self.settled.write_all(&bytes)?;
        self.unsettled -= tags.len() as u64;
        Ok(())
    }
}

fn log_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

fn settled_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.settled"))
}

fn create(dir: &Path, first: u64) -> io::Result<(Segment, File)> {
    let current = OpenOptions::new().create(true).write(true).truncate(true).open(log_path(dir, first))?;
    let settled = File::create(settled_path(dir, first))?;
    // The folder's entry must be as durable as the events that will follow.
    File::open(dir)?.sync_all()?;
    Ok((Segment { tags: first..first, unsettled: 0, settled }, current))
}

fn remove(dir: &Path, first: u64) -> io::Result<()> {
    // The log goes first: events without their settled tags would come again.
    fs::remove_file(log_path(dir, first))?;
    fs::remove_file(settled_path(dir, first))
}

fn recover(dir: &Path, first: u64, last: bool, visit: &mut impl FnMut(Logged<'_>)) -> io::Result<Segment> {
    let path = settled_path(dir, first);
    let settled_bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let mut settled = Vec::new();
    let whole = record::read_all(&settled_bytes, |content| {
        let (tag, count) = content.split_first_chunk().ok_or_else(|| damaged(&path, 0))?;
        let (tag, count) = (u64::from_le_bytes(*tag), count.try_into().map_err(|_| damaged(&path, 0))?);
        settled.push(tag..tag.saturating_add(u64::from_le_bytes(count)));
        Ok::<_, io::Error>(())
    })?;
    let settled_file = OpenOptions::new().create(true).append(true).open(&path)?;
    settled_file.set_len(whole as u64)?;
    settled.sort_unstable_by_key(|range| range.start);

    let path = log_path(dir, first);
    let bytes = fs::read(&path)?;
    let (mut next, mut unsettled, mut settled) = (first, 0, settled.into_iter().peekable());
    let whole = record::read_all(&bytes, |content| {
        let logged = logged(content).filter(|logged| logged.tag == next).ok_or_else(|| damaged(&path, next))?;
        next += 1;
        while settled.next_if(|range| range.end <= logged.tag).is_some() {}
        if !settled.peek().is_some_and(|range| range.contains(&logged.tag)) {
            unsettled += 1;
            visit(logged);
        }
        Ok::<_, io::Error>(())
    })?;
    if whole < bytes.len() {
        // Only the last file may end in zeros, or in a write that a crash cut off: nobody was told that it was durable.
        if !last {
            return Err(damaged(&path, next));
        }
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(Segment { tags: first..next, unsettled, settled: settled_file })
}

fn logged(content: &[u8]) -> Option<Logged<'_>> {
    let (prefix, payload) = content.split_first_chunk::<PREFIX>()?;
    let (tag, partition) = prefix.split_first_chunk()?;
    Some(Logged { tag: u64::from_le_bytes(*tag), partition: u16::from_le_bytes(partition.try_into().ok()?), payload })
}

fn damaged(path: &Path, tag: u64) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{} is damaged at event {tag}; move it away to go on without what it holds", path.display()),
    )
}
