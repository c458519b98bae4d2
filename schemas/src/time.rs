//! Instants: RFC 3339 with milliseconds, UTC, in and out; milliseconds since 1970 inside.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970; `None` outside the years −9999 to 9999.
    pub fn from_millis(ms: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(ms).ok().map(|_| Self(ms))
    }

    /// Now, by the system's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// Reads RFC 3339; digits finer than a millisecond are cut off.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<jiff::Timestamp>() {
            Ok(instant) if is_rfc_3339(text) => Ok(Self(instant.as_millisecond())),
            _ => {
                let text = crate::object::quoted(text);
                Err(format!("{text} is not a time; write RFC 3339, as in 2026-11-24T10:00:00.123Z"))
            }
        }
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since 1970, with fraction.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// This instant moved by `ms` (saturating at the ends of the calendar).
    pub fn plus_millis(self, ms: i64) -> Self {
        let moved = self.0.saturating_add(ms);
        Self(moved.clamp(jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond()))
    }
}

/// Whether `text` is spelled `yyyy-mm-ddThh:mm:ss[.f…](Z|±hh:mm)`; the calendar's parser takes much more than that.
fn is_rfc_3339(text: &str) -> bool {
    let fits = |text: &[u8], form: &[u8]| {
        let same = |(&byte, &wanted): (&u8, &u8)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte.eq_ignore_ascii_case(&wanted),
        };
        text.len() == form.len() && text.iter().zip(form).all(same)
    };
    let Some((seconds, rest)) = text.as_bytes().split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let digits = match rest {
        [b'.', fraction @ ..] => 1 + fraction.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    let zone = &rest[digits..];
    fits(seconds, b"0000-00-00T00:00:00") && digits != 1 && (fits(zone, b"Z") || fits(zone, b"+00:00"))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339_with_milliseconds() {
        let t = Timestamp::parse("2026-11-24T11:00:00.123456+01:00").unwrap();
        assert_eq!(t.to_string(), "2026-11-24T10:00:00.123Z");
        assert_eq!(Timestamp::parse("2026-11-24T10:00:00Z").unwrap().to_string(), "2026-11-24T10:00:00.000Z");
        assert!(Timestamp::parse("yesterday").is_err());
    }
}
