//! Videos: the catalogue's entries.

use serde::{Deserialize, Serialize};

use crate::{
    Country, CreatorId, Invalid, Language, Timestamp, VideoId, event::MAX_BATCH, id::check_id, object, object::Object,
};

/// Whether a video may be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may.
    #[default]
    Live,
    /// It was taken down, and is not served from then on.
    Removed,
}

/// One video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Video {
    /// Who published it.
    pub creator: CreatorId,
    /// The one category it is filed under; the same text rules as an id.
    pub category: Box<str>,
    /// Length, 1 ms to 24 h.
    pub duration_ms: u32,
    /// When it appeared; the time of the call where the client does not say.
    pub published_at: Option<Timestamp>,
    /// Up to 32 short labels.
    pub tags: Vec<Box<str>>,
    /// For display only.
    pub title: Option<Box<str>>,
    /// What is spoken in it.
    pub language: Option<Language>,
    /// Where it comes from.
    pub country: Option<Country>,
    /// The youngest age that may see it, 0–21 years.
    pub age_rating: u8,
    /// Whether it may be shown.
    pub status: Status,
}

const FIELDS: &str = "creator, category, duration_ms, published_at, tags, title, language, country, age_rating, status";
/// The longest video: 24 h.
pub const MAX_DURATION_MS: i64 = 86_400_000;
/// The most tags of one video.
pub const MAX_TAGS: usize = 32;
/// The longest title.
pub const MAX_TITLE_BYTES: usize = 2_000;
/// The age ratings a video may have, years.
pub const AGE_RATINGS: std::ops::RangeInclusive<i64> = 0..=21;

impl Video {
    /// Reads the body of `PUT /v1/videos/{id}`.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let mut o = Object::parse(json)?;
        let video = Self::take(&mut o);
        o.finish(FIELDS, video)
    }

    /// Reads an element of `POST /v1/videos`, or a line of `import jsonl`: the same with `id`.
    pub fn parse_with_id(json: &[u8]) -> Result<(VideoId, Self), Invalid> {
        let mut o = Object::parse(json)?;
        let id = o.required("id", |raw| VideoId::new(object::text(raw)?));
        let video = Self::take(&mut o);
        o.finish(&format!("id, {FIELDS}"), id.zip(video))
    }

    /// Reads a message of the catalogue feed: one video with its `id`, or `{"videos": [..]}`. Each is read by itself.
    pub fn parse_one_or_more(json: &[u8]) -> Vec<Result<(VideoId, Self), Invalid>> {
        let several = Object::parse(json).is_ok_and(|mut object| object.raw("videos").is_some());
        if !several {
            return vec![Self::parse_with_id(json)];
        }
        match object::batch(json, "videos", MAX_BATCH) {
            Ok(list) => list.iter().map(|each| Self::parse_with_id(each.get().as_bytes())).collect(),
            Err(invalid) => vec![Err(invalid)],
        }
    }

    fn take(o: &mut Object<'_>) -> Option<Self> {
        let creator = o.required("creator", |raw| CreatorId::new(object::text(raw)?));
        let category = o.required("category", |raw| label(&object::text(raw)?));
        let duration = o.required("duration_ms", |raw| object::integer(raw, 1..=MAX_DURATION_MS));
        let published_at = o.optional("published_at", |raw| Timestamp::parse(&object::text(raw)?));
        let tags = o.optional("tags", tags).unwrap_or_default();
        let title = o.optional("title", title);
        let language = o.optional("language", |raw| Language::parse(&object::text(raw)?));
        let country = o.optional("country", |raw| Country::parse(&object::text(raw)?));
        let age_rating = o.optional("age_rating", |raw| object::integer(raw, AGE_RATINGS)).unwrap_or(0) as u8;
        let status = o.optional("status", |raw| object::word(raw, "live or removed")).unwrap_or_default();
        Some(Self {
            creator: creator?,
            category: category?,
            duration_ms: duration? as u32,
            published_at,
            tags,
            title,
            language,
            country,
            age_rating,
            status,
        })
    }
}

fn label(text: &str) -> Result<Box<str>, String> {
    check_id(text).map(|()| text.into())
}

fn title(raw: &serde_json::value::RawValue) -> Result<Box<str>, String> {
    let text = object::text(raw)?;
    match text.len() {
        n if n > MAX_TITLE_BYTES => Err(format!("is {n} bytes long; give at most {MAX_TITLE_BYTES}")),
        _ => Ok(text.as_ref().into()),
    }
}

fn tags(raw: &serde_json::value::RawValue) -> Result<Vec<Box<str>>, String> {
    let list: Vec<String> = object::read(raw, "an array of strings")?;
    if list.len() > MAX_TAGS {
        return Err(format!("holds {}; give at most {MAX_TAGS}", list.len()));
    }
    list.iter().map(|tag| label(tag).map_err(|reason| format!("has a tag that {reason}"))).collect()
}
