//! Services: the few long-lived workers, supervised (ractor).

pub mod catalogue;
pub mod catalogue_feed;
pub mod ingest;
pub mod membership;
pub mod queue;
pub mod repeated;
pub mod status;
pub mod subscriptions;
pub mod supervisor;
pub mod sweeper;
pub mod tickets;
pub mod writer;
