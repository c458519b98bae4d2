//! What was wrong with an input, field by field.

use serde::Serialize;
use utoipa::ToSchema;

/// One field that cannot be accepted, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name as the client wrote it; empty when the body as a whole is meant.
    pub field: String,
    /// What is wrong and what would be right, as one sentence.
    pub reason: String,
}

/// An input that was refused. Holds at least one [`FieldError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(.errors))]
pub struct Invalid {
    /// Every problem that was found.
    pub errors: Vec<FieldError>,
}

impl Invalid {
    /// A refusal for one field.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { errors: vec![FieldError { field: field.into(), reason: reason.into() }] }
    }

    /// A refusal of the body as a whole.
    pub fn body(reason: impl Into<String>) -> Self {
        Self::field("", reason)
    }
}

fn describe(errors: &[FieldError]) -> String {
    let each = errors.iter().map(|e| match e.field.as_str() {
        "" => e.reason.clone(),
        field => format!("{field}: {}", e.reason),
    });
    each.collect::<Vec<_>>().join("; ")
}
