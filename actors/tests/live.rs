//! The live part against a store and a bus in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

#[path = "live/catalogue.rs"]
mod catalogue;
#[path = "live/catalogue_feed.rs"]
mod catalogue_feed;
#[path = "live/ingest.rs"]
mod ingest;
#[path = "live/membership.rs"]
mod membership;
#[path = "live/memory.rs"]
mod memory;
#[path = "live/rig.rs"]
mod rig;
#[path = "live/sessions.rs"]
mod sessions;
#[path = "live/supervisor.rs"]
mod supervisor;
#[path = "live/writer.rs"]
mod writer;
