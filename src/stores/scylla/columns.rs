//! Profiles and videos as columns.

use std::collections::HashMap;

use foryou_actors::ports::store::StoreError;
use foryou_schemas::{Country, CreatorId, Gender, Language, Status, Timestamp, User, Video, VideoId};
use scylla::{DeserializeRow, SerializeRow, value::CqlTimestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::stores::rows::{id, instant};

/// A row of `profiles`.
#[derive(DeserializeRow)]
pub struct ProfileColumns {
    pub user: String,
    told: Option<bool>,
    age: Option<i8>,
    country: Option<String>,
    gender: Option<String>,
    language: Option<String>,
    registered_at: Option<CqlTimestamp>,
    /// The days of activity, each with the number of an early event.
    pub days: Option<HashMap<i32, i64>>,
}

/// The values of `put_profile`.
pub type ProfileValues<'a> =
    (&'a str, Option<i8>, Option<&'a str>, Option<String>, Option<&'a str>, Option<CqlTimestamp>, i64);

/// A profile, to be written at `at`.
pub fn profile<'a>(id: &'a str, user: &'a User, at: i64) -> Result<ProfileValues<'a>, StoreError> {
    Ok((
        id,
        user.age.map(|age| age as i8),
        user.country.as_ref().map(Country::as_str),
        user.gender.as_ref().map(word).transpose()?,
        user.language.as_ref().map(Language::as_str),
        user.registered_at.map(|at| CqlTimestamp(at.millis())),
        at,
    ))
}

impl ProfileColumns {
    /// The profile, if one was told.
    pub fn read(self) -> Result<Option<User>, StoreError> {
        if self.told != Some(true) {
            return Ok(None);
        }
        Ok(Some(User {
            age: self.age.map(|age| age as u8),
            country: self.country.map(|country| id(&country, Country::parse)).transpose()?,
            gender: self.gender.map(|gender| read_word::<Gender>(&gender)).transpose()?,
            language: self.language.map(|language| id(&language, Language::parse)).transpose()?,
            registered_at: self.registered_at.map(|at| instant(at.0)).transpose()?,
        }))
    }
}

/// A video.
#[derive(DeserializeRow)]
pub struct VideoColumns {
    id: String,
    creator: String,
    category: String,
    duration_ms: i32,
    published_at: Option<CqlTimestamp>,
    tags: Option<Vec<String>>,
    title: Option<String>,
    language: Option<String>,
    country: Option<String>,
    age_rating: i8,
    status: String,
}

/// The values of `put_video`, by the names of its columns.
#[derive(SerializeRow)]
pub struct VideoValues<'a> {
    id: &'a str,
    creator: &'a str,
    category: &'a str,
    duration_ms: i32,
    published_at: Option<CqlTimestamp>,
    tags: Vec<&'a str>,
    title: Option<&'a str>,
    language: Option<&'a str>,
    country: Option<&'a str>,
    age_rating: i8,
    status: String,
    #[scylla(rename = "[timestamp]")]
    at: i64,
}

/// A video, to be written at `at`.
pub fn video<'a>(id: &'a VideoId, video: &'a Video, at: i64) -> Result<VideoValues<'a>, StoreError> {
    Ok(VideoValues {
        id: id.as_str(),
        creator: video.creator.as_str(),
        category: &video.category,
        duration_ms: video.duration_ms as i32,
        published_at: video.published_at.map(|at| CqlTimestamp(at.millis())),
        tags: video.tags.iter().map(AsRef::as_ref).collect(),
        title: video.title.as_deref(),
        language: video.language.as_ref().map(Language::as_str),
        country: video.country.as_ref().map(Country::as_str),
        age_rating: video.age_rating as i8,
        status: word(&video.status)?,
        at,
    })
}

impl VideoColumns {
    /// The video.
    pub fn read(self) -> Result<(VideoId, Video), StoreError> {
        let video = Video {
            creator: id(&self.creator, CreatorId::new)?,
            category: self.category.into(),
            duration_ms: self.duration_ms as u32,
            published_at: self.published_at.map(|at| instant(at.0)).transpose()?,
            tags: self.tags.unwrap_or_default().into_iter().map(Into::into).collect(),
            title: self.title.map(Into::into),
            language: self.language.map(|language| id(&language, Language::parse)).transpose()?,
            country: self.country.map(|country| id(&country, Country::parse)).transpose()?,
            age_rating: self.age_rating as u8,
            status: read_word::<Status>(&self.status)?,
        };
        Ok((id(&self.id, VideoId::new)?, video))
    }
}

/// The public word for a value, as in JSON.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned));
    text.ok_or_else(|| StoreError::Corrupt("a value has no word".into()))
}

fn read_word<T: DeserializeOwned>(word: &str) -> Result<T, StoreError> {
    serde_json::from_value(word.into())
        .map_err(|_| StoreError::Corrupt(format!("{word:?} is a word that this foryou does not know")))
}

/// The time of a row's column.
pub fn time(at: CqlTimestamp) -> Result<Timestamp, StoreError> {
    instant(at.0)
}
