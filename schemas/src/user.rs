//! People: what a client may tell about one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{Invalid, Timestamp, UserId, country, object, object::Object};

/// The ages a person may have, years.
pub const AGES: std::ops::RangeInclusive<i64> = 13..=120;
/// The longest language tag.
pub const MAX_LANGUAGE_BYTES: usize = 35;

/// ISO 3166-1 alpha-2, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads an officially assigned code.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (country::CODES.binary_search(&text), text.as_bytes()) {
            (Ok(_), &[a, b]) => Ok(Self([a, b])),
            _ => Err(format!(
                "{} is not a country; give an ISO 3166-1 alpha-2 code in capitals, as DE",
                object::quoted(text)
            )),
        }
    }

    /// Every code there is, sorted.
    pub fn codes() -> &'static [&'static str] {
        &country::CODES
    }

    /// The code as two capital letters.
    pub fn bytes(self) -> [u8; 2] {
        self.0
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A BCP 47 language tag, well-formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Language(Box<str>);

impl Language {
    /// Checks the grammar of BCP 47.
    pub fn parse(text: &str) -> Result<Self, String> {
        match oxilangtag::LanguageTag::parse(text) {
            Ok(_) if text.len() <= MAX_LANGUAGE_BYTES => Ok(Self(text.into())),
            _ => Err(format!("{} is not a language; give a BCP 47 tag, as de or pt-BR", object::quoted(text))),
        }
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Gender as told by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Gender {
    Female,
    Male,
    Other,
    Unknown,
}

/// A person's profile. Everything is optional: an unknown person is served too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct User {
    /// Years, 13–120.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u8>,
    /// Where the person is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// As told by the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// What the person reads and hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// When the person joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
}

const FIELDS: &str = "age, country, gender, language, registered_at";

impl User {
    /// Reads the body of `PUT /v1/users/{id}`.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let mut o = Object::parse(json)?;
        let user = Self::take(&mut o);
        o.finish(FIELDS, Some(user))
    }

    /// Reads an element of `POST /v1/users`, or a line of `import jsonl`: the same with `id`.
    pub fn parse_with_id(json: &[u8]) -> Result<(UserId, Self), Invalid> {
        let mut o = Object::parse(json)?;
        let id = o.required("id", |raw| UserId::new(object::text(raw)?));
        let user = Self::take(&mut o);
        o.finish(&format!("id, {FIELDS}"), id.map(|id| (id, user)))
    }

    fn take(o: &mut Object<'_>) -> Self {
        Self {
            age: o.optional("age", |raw| object::integer(raw, AGES)).map(|age| age as u8),
            country: o.optional("country", |raw| Country::parse(&object::text(raw)?)),
            gender: o.optional("gender", |raw| object::word(raw, "female, male, other or unknown")),
            language: o.optional("language", |raw| Language::parse(&object::text(raw)?)),
            registered_at: o.optional("registered_at", |raw| Timestamp::parse(&object::text(raw)?)),
        }
    }
}

impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}
