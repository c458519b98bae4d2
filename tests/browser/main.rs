//! The pages in a real browser: headless Chromium, driven through its WebDriver.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod axe;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/callers.rs"]
mod callers;
mod console;
mod demo;
mod docs;
mod driver;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/faults.rs"]
mod faults;
mod login;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/world.rs"]
mod world;
