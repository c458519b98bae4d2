//! The real server, started on a free port in a folder of its own, asked from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod access;
mod addresses;
mod away;
mod between;
mod callers;
mod catalogue;
mod commands;
mod creators;
mod crowd;
mod edge;
mod events;
mod faults;
mod feeds;
mod forward;
mod kill;
mod login;
mod nodes;
mod openapi;
mod operations;
mod outage;
mod people;
mod producers;
mod recommend;
mod served;
mod server;
mod shared_releases;
mod sockets;
mod tls;
mod traces;
mod world;
