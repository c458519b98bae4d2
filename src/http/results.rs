//! The answer to a batch: one result per element, in order.

use actix_web::{HttpResponse, http::StatusCode};
use foryou_schemas::{FieldError, Invalid, object::Object};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::around::json;
use crate::error::Problem;

/// What became of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResultStatus)]
pub enum Status {
    /// It is durable.
    Accepted,
    /// Its id is known; it has no effect.
    Duplicate,
    /// It is not acceptable.
    Rejected,
}

/// One element's result.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ElementResult)]
pub struct Outcome {
    /// Its id, where it has a readable one.
    #[schema(required)]
    pub id: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Outcome {
    /// An element that was taken, or known already.
    pub fn of(id: &str, status: Status) -> Self {
        Self { id: Some(id.to_owned()), status, errors: Vec::new() }
    }

    /// An element that was not acceptable.
    pub fn rejected(element: &RawValue, invalid: Invalid) -> Self {
        let mut object = Object::parse(element.get().as_bytes()).ok();
        let id = object.as_mut().and_then(|o| o.raw("id")).and_then(|raw| serde_json::from_str(raw.get()).ok());
        Self { id, status: Status::Rejected, errors: invalid.errors }
    }
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResults)]
pub struct Answer<'a> {
    /// How many are new.
    accepted: usize,
    /// One for each element, in order.
    results: &'a [Outcome],
}

/// 202 with the results; 422 where every element was rejected. `list` is the elements' name in the request.
pub fn answer(list: &str, results: &[Outcome]) -> Result<HttpResponse, Problem> {
    if results.iter().all(|r| r.status == Status::Rejected) {
        let errors = results.iter().enumerate().flat_map(|(i, result)| {
            result.errors.iter().map(move |e| {
                let dot = if e.field.is_empty() { "" } else { "." };
                FieldError { field: format!("{list}[{i}]{dot}{}", e.field), reason: e.reason.clone() }
            })
        });
        return Err(Problem::invalid(Invalid { errors: errors.collect() }));
    }
    let accepted = results.iter().filter(|r| r.status == Status::Accepted).count();
    json(StatusCode::ACCEPTED, &Answer { accepted, results })
}
