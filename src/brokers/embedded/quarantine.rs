//! Events that can never be applied, kept aside with the reason.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt,
    path::Path,
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
}

/// A file of [`Quarantined`], where each one lies in it, and a file of the tags of those that are gone. What is gone is cut out of both
/// at the next start.
pub struct Quarantine {
    file: File,
    gone: File,
    length: u64,
    /// By tag: offset and bytes of the record.
    places: BTreeMap<u64, (u64, usize)>,
}

impl Quarantine {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> io::Result<Self> {
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
        let mut this = Self { file, gone, length: whole as u64, places };
        let tags = std::fs::read(&gone_path)?;
        let (tags, _cut_off) = tags.as_chunks();
        for tag in tags {
            this.places.remove(&u64::from_le_bytes(*tag));
        }
        if !tags.is_empty() {
            this.compact(path)?;
        }
        Ok(this)
    }

    /// Writes what is left into a new file, which takes the old one's place.
    fn compact(&mut self, path: &Path) -> io::Result<()> {
        let (aside, left) = (path.with_extension("new"), self.list(0, usize::MAX)?);
        let mut new = Self {
            file: OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&aside)?,
            gone: self.gone.try_clone()?,
            length: 0,
            places: BTreeMap::new(),
        };
        left.iter().try_for_each(|event| new.append(event))?;
        new.file.sync_data()?;
        std::fs::rename(&aside, path)?;
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
        self.file.sync_data()
    }

    fn append(&mut self, event: &Quarantined) -> io::Result<()> {
        let content = postcard::to_stdvec(event).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(content.len() + record::HEADER);
        record::append(&mut bytes, |out| out.extend_from_slice(&content));
        self.file.write_all_at(&bytes, self.length)?;
        self.places.insert(event.tag, (self.length, bytes.len()));
        self.length += bytes.len() as u64;
        Ok(())
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
    postcard::from_bytes(content).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_stays_so_and_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine");
        let event =
            |tag| Quarantined { tag, partition: 1, redelivered: 0, reason: "r".into(), payload: vec![b'x'; 500] };
        let mut quarantine = Quarantine::open(&path).unwrap();
        (1..=3).for_each(|tag| quarantine.add(&event(tag)).unwrap());
        let before = path.metadata().unwrap().len();
        assert!(quarantine.forget(2).unwrap() && !quarantine.forget(2).unwrap() && !quarantine.forget(9).unwrap());
        for _again in 0..2 {
            let quarantine = Quarantine::open(&path).unwrap();
            let tags: Vec<u64> = quarantine.latest(u64::MAX, 10).unwrap().iter().map(|event| event.tag).collect();
            assert_eq!((tags, quarantine.len()), (vec![3, 1], 2));
            assert_eq!((quarantine.get(1).unwrap(), quarantine.get(2).unwrap()), (Some(event(1)), None));
        }
        assert!(path.metadata().unwrap().len() < before);
        let mut quarantine = Quarantine::open(&path).unwrap();
        quarantine.add(&event(4)).unwrap();
        assert_eq!(Quarantine::open(&path).unwrap().latest(4, 1).unwrap(), [event(3)]);
    }
}
