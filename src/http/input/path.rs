//! The `{id}` in a path.

use actix_web::HttpRequest;
use foryou_schemas::Invalid;

use super::percent;
use crate::error::Problem;

/// Reads the `{id}` of the route's pattern with `parse`.
///
/// It is read from the path as sent: the router's own decoding keeps `%2F` encoded and replaces what is not UTF-8.
pub fn id<T>(request: &HttpRequest, parse: impl FnOnce(String) -> Result<T, String>) -> Result<T, Problem> {
    let pattern = request.match_pattern().unwrap_or_default();
    let place = pattern.split('/').position(|segment| segment == "{id}");
    let segment = place.and_then(|place| request.uri().path().split('/').nth(place)).unwrap_or_default();
    let read = percent::decode(segment, false).and_then(parse);
    read.map_err(|reason| Problem::invalid_address(Invalid::field("id", reason)))
}
