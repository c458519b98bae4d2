//! foryou binary.
fn main() {}
