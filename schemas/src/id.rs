//! Public ids: opaque strings of 1–128 bytes of UTF-8 without control characters.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Says what is wrong with `text` as an id, if anything.
pub fn check_id(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty; give 1 to 128 bytes".into());
    }
    if text.len() > MAX_ID_BYTES {
        return Err(format!("is {} bytes long; give at most {MAX_ID_BYTES}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character; give printable text".into());
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` (see [`check_id`]); the error says what to do.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, String> {
                let text = text.into();
                check_id(&text).map(|()| Self(text))
            }
            /// The id that spells `number` in 32 hexadecimal digits: for ids that are made here.
            pub fn from_u128(number: u128) -> Self {
                Self(format!("{number:032x}").into())
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(d)?).map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A person.
    UserId,
    /// A video.
    VideoId,
    /// Who published a video.
    CreatorId,
    /// One event; the freshness token of a feed's `after=`.
    EventId,
    /// One feed that was served.
    FeedId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_printable_text() {
        for good in ["u1", "ünïcode / slash ☕", &"x".repeat(128)] {
            assert_eq!(UserId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\0b", "line\nbreak", &"x".repeat(129)] {
            assert!(UserId::new(bad).is_err(), "{bad:?}");
        }
    }
}
