//! What the server tells about itself: logs and spans, request ids, metrics.

mod logs;
mod metrics;
mod request_id;

pub use logs::{LogError, init};
pub use metrics::{Histogram, Metrics};
pub use request_id::RequestId;
