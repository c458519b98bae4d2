//! The real server, started on a free port in a folder of its own, asked from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod addresses;
mod away;
mod catalogue;
mod commands;
mod events;
mod faults;
mod feeds;
mod forward;
mod kill;
mod nodes;
mod operations;
mod people;
mod producers;
mod recommend;
mod served;
mod server;
mod world;
