//! Keys. Ids hold no control characters, so a zero byte ends one: no person's keys are a prefix of another's.

use foryou_actors::ports::store::StoreError;
use foryou_schemas::{CreatorId, FeedId, Timestamp, UserId};

/// What every key of a person's rows begins with.
pub fn person(user: &UserId) -> Vec<u8> {
    let mut key = Vec::with_capacity(user.as_str().len() + 9);
    key.extend_from_slice(user.as_str().as_bytes());
    key.push(0);
    key
}

/// Of activity: by person, by `seq`.
pub fn activity(user: &UserId, seq: u64) -> Vec<u8> {
    let mut key = person(user);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Of an impression: by person, by time, by feed.
pub fn impression(user: &UserId, at: Timestamp, feed: &FeedId) -> Vec<u8> {
    let mut key = person(user);
    // Flipping the sign bit lets instants before 1970 sort before those after it.
    key.extend_from_slice(&(at.millis() as u64 ^ SIGN).to_be_bytes());
    key.extend_from_slice(feed.as_str().as_bytes());
    key
}

/// Of a creator that a person follows or blocks.
pub fn creator(user: &UserId, creator: &CreatorId) -> Vec<u8> {
    let mut key = person(user);
    key.extend_from_slice(creator.as_str().as_bytes());
    key
}

/// The creator of a [`creator`] key.
pub fn read_creator(key: &[u8]) -> Result<CreatorId, StoreError> {
    read_id(split(key)?.1, CreatorId::new)
}

const SIGN: u64 = 1 << 63;

/// The person and the `seq` of an activity key.
pub fn read_activity(key: &[u8]) -> Result<(UserId, u64), StoreError> {
    let (user, rest) = split(key)?;
    let seq = rest.try_into().map_err(|_| corrupt("activity", key))?;
    Ok((user, u64::from_be_bytes(seq)))
}

/// The person, time and feed of an impression key.
pub fn read_impression(key: &[u8]) -> Result<(UserId, Timestamp, FeedId), StoreError> {
    let (user, rest) = split(key)?;
    let (at, feed) = rest.split_first_chunk().ok_or_else(|| corrupt("impression", key))?;
    let at = Timestamp::from_millis((u64::from_be_bytes(*at) ^ SIGN) as i64);
    let feed = std::str::from_utf8(feed).ok().and_then(|feed| FeedId::new(feed).ok());
    at.zip(feed).map(|(at, feed)| (user, at, feed)).ok_or_else(|| corrupt("impression", key))
}

/// An id that is a whole key.
pub fn read_id<'a, T>(key: &'a [u8], new: impl FnOnce(&'a str) -> Result<T, String>) -> Result<T, StoreError> {
    let text = std::str::from_utf8(key).map_err(|_| corrupt("id", key))?;
    new(text).map_err(|_| corrupt("id", key))
}

fn split(key: &[u8]) -> Result<(UserId, &[u8]), StoreError> {
    let end = key.iter().position(|b| *b == 0).ok_or_else(|| corrupt("person's", key))?;
    Ok((read_id(&key[..end], UserId::new)?, &key[end + 1..]))
}

fn corrupt(what: &str, key: &[u8]) -> StoreError {
    StoreError::Corrupt(format!("the {what} key \"{}\"", key.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn keys_are_read_back_and_sort_by_person_then_number() {
        let keys = [
            activity(&user("u"), 1),
            activity(&user("u"), 2),
            activity(&user("u"), 256),
            activity(&user("u "), 1),
            activity(&user("u1"), 1),
        ];
        assert!(keys.is_sorted());
        assert_eq!(read_activity(&keys[2]).unwrap(), (user("u"), 256));
        assert!(!keys[4].starts_with(&person(&user("u"))));
    }

    #[test]
    fn impressions_sort_by_time_on_both_sides_of_1970() {
        let feed = FeedId::new("f").unwrap();
        let times = [-5, 0, 7].map(|ms| Timestamp::from_millis(ms).unwrap());
        let keys = times.map(|at| impression(&user("u"), at, &feed));
        assert!(keys.is_sorted());
        assert_eq!(read_impression(&keys[0]).unwrap(), (user("u"), times[0], feed));
    }

    #[test]
    fn a_foreign_key_is_an_error() {
        for key in [&b"no end"[..], b"u\0short", b"\xff\0\0\0\0\0\0\0\0\0"] {
            assert!(read_activity(key).is_err() && read_impression(key).is_err());
        }
    }
}
