//! Events that can never be applied, kept aside with the reason.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
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

/// A file of [`Quarantined`], and where each one lies in it.
pub struct Quarantine {
    file: File,
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
        Ok(Self { file, length: whole as u64, places })
    }

    /// Keeps an event aside; durable when this returns. The same tag again is the same event.
    pub fn add(&mut self, event: &Quarantined) -> io::Result<()> {
        if self.places.contains_key(&event.tag) {
            return Ok(());
        }
        let content = postcard::to_stdvec(event).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(content.len() + record::HEADER);
        record::append(&mut bytes, |out| out.extend_from_slice(&content));
        self.file.write_all_at(&bytes, self.length)?;
        self.file.sync_data()?;
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
