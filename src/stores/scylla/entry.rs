//! What one write of an owner comes to, row by row: the content of its journal.

use foryou_actors::{
    ports::store::{StoreError, creators::Change},
    statistics::TallyKey,
};
use foryou_schemas::{CreatorId, FeedId, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::super::rows;

/// The version of the encoding.
const VERSION: u8 = 3;
/// The version without creators: written where there are none, so that nodes of before can read most of it.
const WITHOUT_CREATORS: u8 = 2;
/// Over how many partitions the statistics of an owner are spread.
pub const TALLY_SHARDS: i32 = 64;

/// Rows that are written together. Writing them again changes nothing.
#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since 1970: the time of every row.
    pub at: i64,
    pub activity: Vec<Acted>,
    pub snapshots: Vec<Snapshot>,
    pub tallies: Vec<Counted>,
    /// Encoded behind the rest.
    #[serde(skip)]
    pub creators: Vec<Stood>,
    /// Not in the journal: a feed that was served is one row, whole by itself, and its log may have gaps.
    #[serde(skip)]
    pub feeds: Vec<Served>,
}

/// An event.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Acted {
    #[serde(with = "user")]
    pub user: UserId,
    pub seq: u64,
    pub id: [u8; 16],
    pub event: Blob,
}

/// A session's snapshot.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(with = "user")]
    pub user: UserId,
    pub seq: u64,
    pub snapshot: Blob,
}

/// A tally.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    pub key: Blob,
    pub tally: Blob,
}

/// What changes in a row of a person's creators.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Stood {
    #[serde(with = "user")]
    pub user: UserId,
    pub creator: Box<str>,
    /// Milliseconds since 1970.
    pub followed: Option<Option<i64>>,
    pub blocked: Option<i64>,
}

/// A served feed.
#[derive(Debug, PartialEq)]
pub struct Served {
    pub user: UserId,
    pub at_ms: i64,
    pub feed: Box<str>,
    pub record: Blob,
}

impl Counted {
    pub fn new(key: &TallyKey, tally: Vec<u8>) -> Result<Self, StoreError> {
        Ok(Self { key: Blob(rows::write_tally_key(key)?), tally: Blob(tally) })
    }
}

impl Stood {
    pub fn new(user: UserId, creator: &CreatorId, change: Change) -> Self {
        let followed = change.followed.map(|since| since.map(Timestamp::millis));
        Self { user, creator: creator.as_str().into(), followed, blocked: change.blocked.map(Timestamp::millis) }
    }
}

impl Served {
    pub fn new(user: UserId, at: Timestamp, feed: &FeedId, record: Vec<u8>) -> Self {
        Self { user, at_ms: at.millis(), feed: feed.as_str().into(), record: Blob(record) }
    }

    /// The day it was served on.
    pub fn day(&self) -> i32 {
        super::clock::day(self.at_ms * 1_000)
    }
}

/// The partition of a tally.
pub fn tally_shard(key: &[u8]) -> i32 {
    (crc32fast::hash(key) % TALLY_SHARDS as u32) as i32
}

impl Entry {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.is_journaled() && self.feeds.is_empty()
    }

    /// Whether there is something for the journal.
    pub fn is_journaled(&self) -> bool {
        !(self.activity.is_empty() && self.snapshots.is_empty() && self.tallies.is_empty() && self.creators.is_empty())
    }

    /// The entry as bytes: version, checksum, postcard.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let failed = |error| StoreError::Corrupt(format!("a batch does not encode: {error}"));
        let version = if self.creators.is_empty() { WITHOUT_CREATORS } else { VERSION };
        let mut bytes = postcard::to_extend(self, vec![version, 0, 0, 0, 0]).map_err(failed)?;
        if version == VERSION {
            bytes = postcard::to_extend(&self.creators, bytes).map_err(failed)?;
        }
        let sum = crc32fast::hash(&bytes[HEAD..]);
        bytes[1..HEAD].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }

    /// Reads an entry. Fails where part of it is missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let broken = |what: String| StoreError::Corrupt(format!("a journal {what}"));
        let undecoded = |error: postcard::Error| broken(format!("does not decode: {error}"));
        match bytes.split_first_chunk::<HEAD>() {
            Some((&[version @ (VERSION | WITHOUT_CREATORS), a, b, c, d], rest)) => {
                if crc32fast::hash(rest) != u32::from_le_bytes([a, b, c, d]) {
                    return Err(broken("is not whole".into()));
                }
                let (entry, rest): (Self, _) = postcard::take_from_bytes(rest).map_err(undecoded)?;
                let creators = match version {
                    VERSION => postcard::from_bytes(rest).map_err(undecoded)?,
                    _ => Vec::new(),
                };
                Ok(Self { creators, ..entry })
            }
            Some((&[version, ..], _)) => Err(broken(format!(
                "has version {version}, this foryou reads {VERSION}; start the foryou that wrote it"
            ))),
            None => Err(broken("is missing".into())),
        }
    }
}

const HEAD: usize = 5;

/// Bytes, encoded as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

mod user {
    use super::*;

    pub fn serialize<S: Serializer>(user: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(user.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserId, D::Error> {
        UserId::new(<&str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use foryou_actors::ports::store::creators::What;

    use super::*;

    #[test]
    fn an_entry_is_read_back_and_one_that_is_cut_off_is_refused() {
        let user = UserId::new("ünï").unwrap();
        let mut change = Change::default();
        change.add(What::Block, Timestamp::from_millis(5).unwrap());
        let creators = [Vec::new(), vec![Stood::new(user.clone(), &CreatorId::new("c").unwrap(), change)]];
        let mut entry = Entry {
            at: 7,
            activity: vec![Acted { user: user.clone(), seq: 3, id: [9; 16], event: Blob(vec![1, 2]) }],
            snapshots: vec![Snapshot { user, seq: 3, snapshot: Blob(vec![]) }],
            tallies: vec![Counted::new(&TallyKey::Band(3), vec![4]).unwrap()],
            creators: Vec::new(),
            feeds: Vec::new(),
        };
        for creators in creators {
            entry.creators = creators;
            let bytes = entry.encode().unwrap();
            assert_eq!(bytes[0], 2 + entry.creators.len() as u8, "one without creators is read by nodes of before");
            assert_eq!(Entry::decode(&bytes).unwrap(), entry);
            for len in [0, 4, 5, bytes.len() - 1] {
                assert!(Entry::decode(&bytes[..len]).is_err());
            }
        }
        let newer = Entry::decode(&[4, 0, 0, 0, 0]).unwrap_err().to_string();
        assert!(newer.contains("version 4"), "{newer}");
    }
}
