//! Rows as bytes: a version, then postcard. What the key says is not repeated in the row.

use foryou_actors::{
    ports::store::{Activity, StoreError, creators::Standing},
    sessions::state::Outcomes,
    statistics::{Expected, TallyKey},
};
use foryou_schemas::{
    Country, CreatorId, Event, EventId, FeedId, Gender, Kind, Language, Status, Timestamp, User, UserId, Video, VideoId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version that is written. A reader keeps every older one; a field is added by a new version, never in place.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct ActivityRow<'a> {
    order: u64,
    id: &'a str,
    video: &'a str,
    kind: Kind,
    watch_ms: Option<u32>,
    at_ms: i64,
    #[serde(borrow)]
    feed: Option<&'a str>,
    position: Option<u32>,
    surface: Option<&'a str>,
    gained: u16,
    lost: u16,
    expected: Expected,
}

#[derive(Serialize, Deserialize)]
struct UserRow<'a> {
    age: Option<u8>,
    #[serde(borrow)]
    country: Option<&'a str>,
    gender: Option<Gender>,
    language: Option<&'a str>,
    registered_at_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct VideoRow<'a> {
    creator: &'a str,
    category: &'a str,
    duration_ms: u32,
    published_at_ms: Option<i64>,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    title: Option<&'a str>,
    language: Option<&'a str>,
    country: Option<&'a str>,
    age_rating: u8,
    status: Status,
}

/// An activity row.
pub fn write_activity(activity: &Activity) -> Result<Vec<u8>, StoreError> {
    let event = &activity.event;
    write(&ActivityRow {
        order: activity.order,
        id: event.id.as_str(),
        video: event.video.as_str(),
        kind: event.kind,
        watch_ms: event.watch_ms,
        at_ms: event.at.millis(),
        feed: event.feed.as_ref().map(FeedId::as_str),
        position: event.position,
        surface: event.surface.as_deref(),
        gained: activity.gained.bits(),
        lost: activity.lost.bits(),
        expected: activity.expected,
    })
}

/// The row of `user`'s event number `seq`.
pub fn read_activity(user: UserId, seq: u64, bytes: &[u8]) -> Result<Activity, StoreError> {
    let row: ActivityRow<'_> = read("an activity row", bytes)?;
    let event = Event {
        id: id(row.id, EventId::new)?,
        user,
        video: id(row.video, VideoId::new)?,
        kind: row.kind,
        watch_ms: row.watch_ms,
        at: instant(row.at_ms)?,
        feed: row.feed.map(|feed| id(feed, FeedId::new)).transpose()?,
        position: row.position,
        surface: row.surface.map(Into::into),
    };
    let (gained, lost) = (Outcomes::from_bits(row.gained), Outcomes::from_bits(row.lost));
    Ok(Activity { event, seq, order: row.order, gained, lost, expected: row.expected })
}

/// The event id alone.
pub fn read_event_id(bytes: &[u8]) -> Result<EventId, StoreError> {
    let row: ActivityRow<'_> = read("an activity row", bytes)?;
    id(row.id, EventId::new)
}

/// A profile.
pub fn write_user(user: &User) -> Result<Vec<u8>, StoreError> {
    write(&UserRow {
        age: user.age,
        country: user.country.as_ref().map(Country::as_str),
        gender: user.gender,
        language: user.language.as_ref().map(Language::as_str),
        registered_at_ms: user.registered_at.map(Timestamp::millis),
    })
}

/// A profile.
pub fn read_user(bytes: &[u8]) -> Result<User, StoreError> {
    let row: UserRow<'_> = read("a profile", bytes)?;
    Ok(User {
        age: row.age,
        country: row.country.map(|country| id(country, Country::parse)).transpose()?,
        gender: row.gender,
        language: row.language.map(|language| id(language, Language::parse)).transpose()?,
        registered_at: row.registered_at_ms.map(instant).transpose()?,
    })
}

/// A video.
pub fn write_video(video: &Video) -> Result<Vec<u8>, StoreError> {
    write(&VideoRow {
        creator: video.creator.as_str(),
        category: &video.category,
        duration_ms: video.duration_ms,
        published_at_ms: video.published_at.map(Timestamp::millis),
        tags: video.tags.iter().map(AsRef::as_ref).collect(),
        title: video.title.as_deref(),
        language: video.language.as_ref().map(Language::as_str),
        country: video.country.as_ref().map(Country::as_str),
        age_rating: video.age_rating,
        status: video.status,
    })
}

/// A video.
pub fn read_video(bytes: &[u8]) -> Result<Video, StoreError> {
    let row: VideoRow<'_> = read("a video", bytes)?;
    Ok(Video {
        creator: id(row.creator, CreatorId::new)?,
        category: row.category.into(),
        duration_ms: row.duration_ms,
        published_at: row.published_at_ms.map(instant).transpose()?,
        tags: row.tags.into_iter().map(Into::into).collect(),
        title: row.title.map(Into::into),
        language: row.language.map(|language| id(language, Language::parse)).transpose()?,
        country: row.country.map(|country| id(country, Country::parse)).transpose()?,
        age_rating: row.age_rating,
        status: row.status,
    })
}

/// A row of a person's creators.
pub fn write_standing(standing: &Standing) -> Result<Vec<u8>, StoreError> {
    write(&(standing.followed.map(Timestamp::millis), standing.blocked.map(Timestamp::millis)))
}

/// A row of a person's creators.
pub fn read_standing(bytes: &[u8]) -> Result<Standing, StoreError> {
    let (followed, blocked): (Option<i64>, Option<i64>) = read("a row of a person's creators", bytes)?;
    Ok(Standing { followed: followed.map(instant).transpose()?, blocked: blocked.map(instant).transpose()? })
}

/// What is kept of an event's id where the id itself is not: half of its SHA-256.
pub fn hashed_id(id: &EventId) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(id.as_str()).into();
    std::array::from_fn(|n| hash[n])
}

/// The key of a tally.
pub fn write_tally_key(key: &TallyKey) -> Result<Vec<u8>, StoreError> {
    write(key)
}

/// The key of a tally.
pub fn read_tally_key(bytes: &[u8]) -> Result<TallyKey, StoreError> {
    read("a tally's key", bytes)
}

fn write(row: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(row, vec![VERSION]).map_err(|e| StoreError::Corrupt(format!("a row does not encode: {e}")))
}

fn read<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, row)) => postcard::from_bytes(row).map_err(|e| StoreError::Corrupt(format!("{what}: {e}"))),
        Some((version, _)) => Err(StoreError::Corrupt(format!(
            "{what} of version {version}, and this foryou reads versions up to {VERSION}; start the newer foryou that wrote it"
        ))),
        None => Err(StoreError::Corrupt(format!("{what} is empty"))),
    }
}

pub fn id<'a, T>(text: &'a str, parse: impl FnOnce(&'a str) -> Result<T, String>) -> Result<T, StoreError> {
    parse(text).map_err(|reason| StoreError::Corrupt(format!("{text:?} {reason}")))
}

pub fn instant(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millis(ms).ok_or_else(|| StoreError::Corrupt(format!("{ms} ms is no time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as version 1 wrote them; they are read forever.
    const ACTIVITY_1: &[u8] =
        b"\x01\x09\x02e1\x02v1\x01\x01\xac\x02\x80\xa8\xd6\xb9\x07\x01\x02f1\x01\x03\x01\x02tv\x03\x20\x00\x00\x00";

    fn activity() -> Activity {
        let event = Event {
            id: EventId::new("e1").unwrap(),
            user: UserId::new("u1").unwrap(),
            video: VideoId::new("v1").unwrap(),
            kind: Kind::View,
            watch_ms: Some(300),
            at: Timestamp::from_millis(1_000_000_000).unwrap(),
            feed: Some(FeedId::new("f1").unwrap()),
            position: Some(3),
            surface: Some("tv".into()),
        };
        let (gained, lost) = (Outcomes::OPENED.with(Outcomes::VIEW), Outcomes::LIKE);
        Activity { event, seq: 7, order: 9, gained, lost, expected: foryou_actors::statistics::Expected::default() }
    }

    #[test]
    fn rows_of_version_1_are_read() {
        assert_eq!(read_activity(UserId::new("u1").unwrap(), 7, ACTIVITY_1).unwrap(), activity());
        assert_eq!(
            write_activity(&activity()).unwrap(),
            ACTIVITY_1,
            "{}",
            write_activity(&activity()).unwrap().escape_ascii()
        );
    }

    #[test]
    fn what_does_not_decode_says_so() {
        for (bytes, says) in [(&b""[..], "empty"), (b"\x02\0\0\0\0\0", "version 2"), (b"\x01\x01", "a profile")] {
            let error = read_user(bytes).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
