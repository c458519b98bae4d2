//! Scratch.
use foryou_index::bench::{Settings, run};
fn main() {
    let sizes = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    for row in run(&Settings { sizes, ..Settings::default() }).unwrap() {
        println!("{row:?}");
    }
}
