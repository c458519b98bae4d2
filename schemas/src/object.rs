//! The strict JSON reader behind every inbound type: collects *all* problems of an object instead of the first.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{FieldError, Invalid};

/// More fields than any object has that is read here. Each refusal costs, so nothing is said field by field beyond it.
const MAX_FIELDS: usize = 32;

/// A JSON object whose fields are taken one by one; what is left at the end is unknown and refused by name.
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
    errors: Vec<FieldError>,
}

impl<'a> Object<'a> {
    /// Splits `json` into fields without reading their values. A body that is not one JSON object is an error.
    pub fn parse(json: &'a [u8]) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(json).map_err(|_| Invalid::body("the body is not UTF-8; send JSON in UTF-8"))?;
        if text.trim_ascii().is_empty() {
            return Err(Invalid::body("the body is empty; send a JSON object"));
        }
        let Fields(list) = serde_json::from_str(text)
            .map_err(|e| Invalid::body(format!("the body is not a JSON object ({e}); send one JSON object")))?;
        if list.len() > MAX_FIELDS {
            return Err(Invalid::body(format!(
                "the object has {} fields; none here has as many as {MAX_FIELDS}",
                list.len()
            )));
        }
        let mut object = Self { fields: Vec::with_capacity(list.len()), errors: Vec::new() };
        for (name, value) in list {
            if object.fields.iter().any(|(known, _)| *known == name) {
                object.refuse(&name, "is given twice; give it once");
            } else {
                object.fields.push((name, Some(value)));
            }
        }
        Ok(object)
    }

    /// Whether the object has the field and nobody took it yet.
    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, raw)| name == field && raw.is_some())
    }

    /// Notes a problem of a field.
    pub fn refuse(&mut self, field: &str, reason: impl Into<String>) {
        self.errors.push(FieldError { field: excerpt(field).into_owned(), reason: reason.into() });
    }

    /// Whether a problem of `field` was noted.
    pub fn refused(&self, field: &str) -> bool {
        self.errors.iter().any(|e| e.field == field)
    }

    /// Takes a field's raw JSON; absent and `null` are both `None`.
    pub fn raw(&mut self, field: &str) -> Option<&'a RawValue> {
        let slot = self.fields.iter_mut().find(|(name, _)| name == field)?;
        slot.1.take().filter(|raw| raw.get() != "null")
    }

    /// Takes an optional field and reads it with `read`; a problem is noted and gives `None`.
    pub fn optional<T>(&mut self, field: &str, read: impl FnOnce(&'a RawValue) -> Result<T, String>) -> Option<T> {
        let raw = self.raw(field)?;
        read(raw).map_err(|reason| self.refuse(field, reason)).ok()
    }

    /// Like [`Object::optional`], but absence is a problem too.
    pub fn required<T>(&mut self, field: &str, read: impl FnOnce(&'a RawValue) -> Result<T, String>) -> Option<T> {
        match self.raw(field) {
            Some(raw) => read(raw).map_err(|reason| self.refuse(field, reason)).ok(),
            None => {
                self.refuse(field, "is missing; it is required");
                None
            }
        }
    }

    /// Refuses what was not taken, and hands over `value` when nothing was wrong.
    pub fn finish<T>(mut self, known: &str, value: Option<T>) -> Result<T, Invalid> {
        for (name, raw) in std::mem::take(&mut self.fields) {
            if raw.is_some() {
                self.refuse(&name, format!("is not a known field; known are {known}"));
            }
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ if self.errors.is_empty() => Err(Invalid::body("the body is incomplete")),
            _ => Err(Invalid { errors: self.errors }),
        }
    }
}

/// The elements of `{"<name>": [..]}`, unread, so that one bad element does not refuse the others.
///
/// Errors: not such an object, no element, or more than `max`.
pub fn batch<'a>(json: &'a [u8], name: &str, max: usize) -> Result<Vec<&'a RawValue>, Invalid> {
    let mut object = Object::parse(json)?;
    let list = object.required(name, |raw| {
        let list: Vec<&RawValue> = read(raw, "an array of objects")?;
        match list.len() {
            0 => Err(format!("is empty; give 1 to {max}")),
            n if n > max => Err(format!("holds {n}; give at most {max} at a time")),
            _ => Ok(list),
        }
    });
    object.finish(name, list)
}

/// Reads any deserializable value; `what` says what was wanted.
pub fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, what: &str) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("{} is not {what}", excerpt(raw.get())))
}

/// Reads a string.
pub fn text<'a>(raw: &'a RawValue) -> Result<Cow<'a, str>, String> {
    read(raw, "a string").map(|Text(t)| t)
}

/// Reads one of a set of words (an enum without content); `what` says which there are.
pub fn word<T: DeserializeOwned>(raw: &RawValue, what: &str) -> Result<T, String> {
    // By way of a string: serde would also read the word out of {"word": null}.
    let word = text(raw)?;
    let known: Result<T, serde::de::value::Error> = T::deserialize(word.as_ref().into_deserializer());
    known.map_err(|_| format!("{} is not {what}", quoted(&word)))
}

/// Reads a whole number within `range`.
pub fn integer(raw: &RawValue, range: std::ops::RangeInclusive<i64>) -> Result<i64, String> {
    let wanted = || format!("must be a whole number from {} to {}", range.start(), range.end());
    match serde_json::from_str::<i64>(raw.get()) {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(format!("{}, not {}", wanted(), excerpt(raw.get()))),
    }
}

/// A text in quotes for a message; its beginning, where it is long.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", excerpt(text))
}

fn excerpt(json: &str) -> Cow<'_, str> {
    match json.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}…", &json[..end])),
        None => Cow::Borrowed(json),
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Text(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(fields)
            }
        }
        d.deserialize_map(Collect).map(Fields)
    }
}
