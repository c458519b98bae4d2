//! What a request brings, parsed strictly: body, path, query.

mod body;
mod path;
mod percent;
mod query;

pub use body::{Body, BodyLimits};
pub use path::id;
pub use percent::{encode, fields};
pub use query::{LIMIT, LIMITS, Query};
