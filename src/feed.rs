//! Feeds: a pipeline of small stages.
//!
//! ```text
//! session ► user vector ► sources ► filters ► features ► ranker ► utility ► diversity + exploration ► feed
//! ```
//!
//! [`pipeline`] drives it; each stage has a file of its own. A stage that fails or is late degrades the feed, says so in the
//! answer, and is counted.

pub mod candidate;
pub mod counts;
mod diversify;
mod explore;
pub mod fate;
mod feeds;
mod filters;
pub mod hydrate;
pub mod impression;
pub mod mood;
pub mod offline;
pub mod pipeline;
mod rank;
pub mod request;
pub mod sources;
pub mod stages;
mod story;
#[cfg(test)]
mod tests;
pub mod trends;
mod utility;

pub use feeds::{FeedRequest, Feeds, Look, Preview};
pub use offline::Offline;
