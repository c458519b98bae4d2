//! Events that can never be applied, kept aside with the reason.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::record;

/// An event that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The tag under which it was delivered; grows.
    pub tag: u64,
    /// Its partition.
    pub partition: u16,
    /// How often it had been delivered before.
    pub redelivered: u32,
    /// Why it cannot be applied.
    pub reason: String,
    /// The event as it was published.
    pub payload: Vec<u8>,
    /// When it was kept aside, milliseconds since 1970; behind the rest in the file, and not there in older ones.
    #[serde(skip)]
    pub at_ms: Option<i64>,
}

/// A file of [`Quarantined`], where each one lies in it, and a file of the tags of those that are gone. What is gone is cut out of both
/// at the next start, or when it has become much.
pub struct Quarantine {
    path: PathBuf,
    max: usize,
    file: File,
    gone: File,
    /// How many tags `gone` holds.
    forgotten: usize,
    length: u64,
    /// How many made room since this was opened.
    dropped: u64,
    /// By tag: offset and bytes of the record.
    places: BTreeMap<u64, (u64, usize)>,
}

impl Quarantine {
    /// Opens or makes the file. Of more than `max` events the oldest make room.
    pub fn open(path: &Path, max: usize) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let bytes = std::fs::read(path)?;
        let (mut places, mut offset) = (BTreeMap::new(), 0);
        let whole = record::read_all(&bytes, |content| {
            let length = content.len() + record::HEADER;
            places.insert(decode(content)?.tag, (offset, length));
            offset += length as u64;
            Ok::<_, io::Error>(())
        })?;
        file.set_len(whole as u64)?;
        let gone_path = path.with_extension("gone");
        let gone = OpenOptions::new().create(true).append(true).read(true).open(&gone_path)?;
        let mut this =
            Self { path: path.to_owned(), max, file, gone, forgotten: 0, length: whole as u64, dropped: 0, places };
        let tags = std::fs::read(&gone_path)?;
        let (tags, _cut_off) = tags.as_chunks();
        for tag in tags {
            this.places.remove(&u64::from_le_bytes(*tag));
        }
        this.forgotten = tags.len();
        this.clean()?;
        Ok(this)
    }

    /// Cuts what was forgotten out of the file.
    pub fn clean(&mut self) -> io::Result<()> {
        if self.forgotten == 0 {
            return Ok(());
        }
        let (aside, left) = (self.path.with_extension("new"), self.list(0, usize::MAX)?);
        let mut new = Self {
            path: self.path.clone(),
            max: self.max,
            forgotten: 0,
            file: OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&aside)?,
            gone: self.gone.try_clone()?,
            length: 0,
            dropped: self.dropped,
            places: BTreeMap::new(),
        };
        left.iter().try_for_each(|event| new.append(event))?;
        new.file.sync_data()?;
        std::fs::rename(&aside, &self.path)?;
        // Only now: until the new file is in place, these tags say what of the old one is gone.
        self.gone.set_len(0)?;
        *self = new;
        Ok(())
    }

    /// Forgets an event; durable when this returns. `false`: it is not there.
    pub fn forget(&mut self, tag: u64) -> io::Result<bool> {
        if !self.places.contains_key(&tag) {
            return Ok(false);
        }
        self.gone.write_all(&tag.to_le_bytes())?;
        self.gone.sync_data()?;
        self.places.remove(&tag);
        self.forgotten += 1;
        Ok(true)
    }

    /// One event.
    pub fn get(&self, tag: u64) -> io::Result<Option<Quarantined>> {
        self.places.get(&tag).map(|(offset, length)| self.read(*offset, *length)).transpose()
    }

    /// Up to `limit` events with tags below `before`, the latest first.
    pub fn latest(&self, before: u64, limit: usize) -> io::Result<Vec<Quarantined>> {
        let places = self.places.range(..before).rev().take(limit);
        places.map(|(_, (offset, length))| self.read(*offset, *length)).collect()
    }

    /// Keeps an event aside; durable when this returns. The same tag again is the same event.
    pub fn add(&mut self, event: &Quarantined) -> io::Result<()> {
        if self.places.contains_key(&event.tag) {
            return Ok(());
        }
        self.append(event)?;
        self.file.sync_data()?;
        while self.places.len() > self.max
            && let Some(oldest) = self.places.keys().next().copied()
        {
            self.forget(oldest)?;
            self.dropped += 1;
        }
        if self.forgotten > self.max {
            self.clean()?;
        }
        Ok(())
    }

    fn append(&mut self, event: &Quarantined) -> io::Result<()> {
        let content = postcard::to_stdvec(event).map_err(io::Error::other)?;
        let content = match event.at_ms {
            Some(at_ms) => postcard::to_extend(&at_ms, content).map_err(io::Error::other)?,
            None => content,
        };
        let mut bytes = Vec::with_capacity(content.len() + record::HEADER);
        record::append(&mut bytes, |out| out.extend_from_slice(&content));
        self.file.write_all_at(&bytes, self.length)?;
        self.places.insert(event.tag, (self.length, bytes.len()));
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Up to `limit` events with tags above `after`, in order.
    pub fn list(&self, after: u64, limit: usize) -> io::Result<Vec<Quarantined>> {
        let places = self.places.range(after.saturating_add(1)..).take(limit);
        places.map(|(_, (offset, length))| self.read(*offset, *length)).collect()
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Quarantined> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        let (content, _) = record::next(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        decode(content)
    }
}

fn decode(content: &[u8]) -> io::Result<Quarantined> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let (event, rest): (Quarantined, _) = postcard::take_from_bytes(content).map_err(invalid)?;
    let at_ms = if rest.is_empty() { None } else { Some(postcard::from_bytes(rest).map_err(invalid)?) };
    Ok(Quarantined { at_ms, ..event })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(tag: u64) -> Quarantined {
        // As older versions wrote them, and as they are now.
        let at_ms = tag.is_multiple_of(2).then_some(1_764_000_000_000);
        Quarantined { tag, partition: 1, redelivered: 0, reason: "r".into(), payload: vec![b'x'; 500], at_ms }
    }

    #[test]
    fn what_is_forgotten_stays_so_and_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine");
        let mut quarantine = Quarantine::open(&path, 100).unwrap();
        (1..=3).for_each(|tag| quarantine.add(&event(tag)).unwrap());
        let before = path.metadata().unwrap().len();
        assert!(quarantine.forget(2).unwrap() && !quarantine.forget(2).unwrap() && !quarantine.forget(9).unwrap());
        for _again in 0..2 {
            let quarantine = Quarantine::open(&path, 100).unwrap();
            let tags: Vec<u64> = quarantine.latest(u64::MAX, 10).unwrap().iter().map(|event| event.tag).collect();
            assert_eq!((tags, quarantine.len()), (vec![3, 1], 2));
            assert_eq!((quarantine.get(1).unwrap(), quarantine.get(2).unwrap()), (Some(event(1)), None));
        }
        assert!(path.metadata().unwrap().len() < before);
        let mut quarantine = Quarantine::open(&path, 100).unwrap();
        quarantine.add(&event(4)).unwrap();
        assert_eq!(Quarantine::open(&path, 100).unwrap().latest(4, 1).unwrap(), [event(3)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine");
        let mut quarantine = Quarantine::open(&path, 5).unwrap();
        (1..=40).for_each(|tag| quarantine.add(&event(tag)).unwrap());
        let tags =
            |quarantine: &Quarantine| quarantine.list(0, 99).unwrap().iter().map(|event| event.tag).collect::<Vec<_>>();
        assert_eq!((tags(&quarantine), quarantine.dropped()), (vec![36, 37, 38, 39, 40], 35));
        assert!(path.metadata().unwrap().len() < 12 * 600, "what was forgotten is cut out in between");
        drop(quarantine);
        assert_eq!(tags(&Quarantine::open(&path, 5).unwrap()), [36, 37, 38, 39, 40]);
    }
}
