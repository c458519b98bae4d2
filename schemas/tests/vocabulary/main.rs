//! The vocabulary against its fixtures, its published JSON Schemas and arbitrary input.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixtures;
mod json_schema;
mod properties;
