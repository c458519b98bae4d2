//! The pages in a real browser: headless Chromium, driven through its WebDriver.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod axe;
mod console;
mod demo;
mod docs;
mod driver;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with the other integration tests")]
#[path = "../it/world.rs"]
mod world;
