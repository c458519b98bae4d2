//! Query parameters, taken one by one; what is left at the end is unknown and refused by name.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use actix_web::HttpRequest;
use foryou_schemas::{FieldError, Invalid};

use super::percent;
use crate::error::Problem;

/// How many elements a list may be asked for.
pub const LIMITS: RangeInclusive<u32> = 1..=100;
/// How many there are where nobody says.
pub const LIMIT: u32 = 20;

/// The parameters of one request. Collects every problem instead of the first.
pub struct Query {
    parameters: Vec<(String, Option<String>)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Splits and decodes.
    pub fn of(request: &HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    fn parse(text: &str) -> Self {
        let mut query = Self { parameters: Vec::new(), known: Vec::new(), errors: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = match percent::decode(name, true) {
                Ok(name) => name,
                Err(reason) => {
                    query.refuse(name, format!("as a name {reason}"));
                    continue;
                }
            };
            if query.parameters.iter().any(|(known, _)| *known == name) {
                query.refuse(&name, "is given twice; give it once");
                continue;
            }
            let value = percent::decode(value, true).map_err(|reason| query.refuse(&name, reason)).ok();
            query.parameters.push((name, value));
        }
        query
    }

    /// Takes a parameter and reads it with `read`; a problem is noted and gives `None`.
    pub fn take<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.known.push(name);
        let place = self.parameters.iter().position(|(given, _)| given == name)?;
        let value = self.parameters.swap_remove(place).1?;
        read(&value).map_err(|reason| self.refuse(name, reason)).ok()
    }

    /// Takes a parameter that has to be given; `None` is refused by [`finish`](Self::finish).
    pub fn need<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if !self.parameters.iter().any(|(given, _)| given == name) {
            self.refuse(name, "is missing");
        }
        self.take(name, read)
    }

    /// Takes a whole number within `range`.
    pub fn whole<N>(&mut self, name: &'static str, range: RangeInclusive<N>, otherwise: N) -> N
    where
        N: FromStr + PartialOrd + Display,
    {
        let number = self.take(name, |text| match text.parse::<N>() {
            // `+5` parses as a number, but the plus of a query is a space.
            Ok(number) if range.contains(&number) && text.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
            _ => Err(format!("must be a whole number from {} to {}, not {text:?}", range.start(), range.end())),
        });
        number.unwrap_or(otherwise)
    }

    /// `limit`: [`LIMITS`], or [`LIMIT`] where it is not given.
    pub fn limit(&mut self) -> usize {
        self.whole("limit", LIMITS, LIMIT) as usize
    }

    /// Takes `true` or `false`; absent is false.
    pub fn flag(&mut self, name: &'static str) -> bool {
        let flag = self.take(name, |text| text.parse().map_err(|_| format!("must be true or false, not {text:?}")));
        flag.unwrap_or(false)
    }

    /// Refuses what was not taken, and every problem that was noted.
    pub fn finish(mut self) -> Result<(), Problem> {
        let known = match self.known.as_slice() {
            [] => "there are none".to_owned(),
            known => format!("known are {}", known.join(", ")),
        };
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.refuse(&name, format!("is not a known parameter; {known}"));
        }
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid_address(Invalid { errors: self.errors })),
        }
    }

    fn refuse(&mut self, name: &str, reason: impl Into<String>) {
        self.errors.push(FieldError { field: name.to_owned(), reason: reason.into() });
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;

    use super::*;

    fn read(text: &str) -> Result<(usize, bool), Problem> {
        let mut query = Query::parse(text);
        let read = (query.limit(), query.flag("explain"));
        query.finish().map(|()| read)
    }

    #[test]
    fn reads_what_is_known_and_in_range() {
        assert_eq!(read("").unwrap(), (20, false));
        assert_eq!(read("explain=true&limit=100").unwrap(), (100, true));
        assert_eq!(read("&limit=%31&").unwrap(), (1, false));
    }

    #[test]
    fn names_every_problem() {
        for (bad, named) in [
            ("limit=", "limit"),
            ("limit", "limit"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=-1", "limit"),
            ("limit=1.5", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("limit=5&limit=5", "limit"),
            ("limit=%f", "limit"),
            ("explain=1", "explain"),
            ("lmit=5", "lmit"),
            ("%ff=5", "%ff"),
        ] {
            let problem = read(bad).unwrap_err();
            assert_eq!(problem.status_code(), 400);
            assert!(problem.to_string().contains(named), "{bad}: {problem}");
        }
        let both = read("limit=x&surprise=1").unwrap_err().to_string();
        assert!(both.contains("limit") && both.contains("surprise") && both.contains("known are limit, explain"));
    }
}
