//! What the server tells about itself: logs, traces, request ids, metrics, and the figures of the last hours.

mod engine;
mod freshness;
mod gauges;
mod histogram;
pub mod history;
mod logs;
mod metrics;
mod objective;
mod observatory;
mod request_id;
mod series;
pub mod traces;
mod unserved;

pub use engine::EngineFigures;
pub use freshness::{Freshness, Reflected};
pub use gauges::{Gauges, Process};
pub use histogram::Histogram;
pub use logs::{LogError, init};
pub use metrics::{CLASSES, Metrics};
pub use objective::Objective;
pub use observatory::{Observatory, Scene, Watcher};
pub use request_id::RequestId;
pub use series::Sources;
pub use traces::TRACES;
pub use unserved::Unserved;
