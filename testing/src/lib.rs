//! For tests from outside: `foryou serve` as processes ([`Node`], [`Ground`]), and RabbitMQ and Cassandra by `scripts/engines.sh`:
//! [`Engines::shared`] for tests that only use them under names of their own, [`Private`] for tests that kill, freeze or block them.
//!
//! Names of tests that need engines contain `real_engines`: `make test-embedded` leaves those out.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

mod client;
mod ground;
mod node;
mod private;
mod shared;

pub use client::{Answer, Client};
pub use ground::Ground;
pub use node::{Node, free_address, run};
pub use private::{Engine, Private};
pub use shared::{Engines, unique};
