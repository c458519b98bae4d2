//! Services: the few long-lived workers, supervised (ractor).

pub mod queue;
pub mod status;
pub mod supervisor;
pub mod tickets;
pub mod writer;
