//! A small ONNX writer.
//!
//! [`proto`] holds the protobuf messages that a model file consists of, by hand and only with the fields that are
//! written here; [`Graph`] puts nodes, weights, inputs and outputs together.

mod graph;
pub mod proto;

pub use graph::{Attribute, Dim, Graph};
