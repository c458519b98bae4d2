//! `foryou recommend`, run as people run it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::world::World;

fn recommend(arguments: &[&str], users: &str) -> Vec<Value> {
    let dir = World::shared().active();
    let mut process = Command::new(env!("CARGO_BIN_EXE_foryou"))
        .args(["recommend", "--users", "-"])
        .args(arguments)
        .env("FORYOU__DATA__DIR", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(users.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn categories(line: &Value) -> Vec<u32> {
    let number = |item: &Value| item["video"].as_str().unwrap()[1..].parse::<u32>().unwrap();
    line["items"].as_array().unwrap().iter().map(|item| number(item) % crate::world::CATEGORIES).collect()
}

#[test]
fn everybody_gets_a_line_in_the_order_of_the_file() {
    let _kept = World::shared();
    for arguments in [&["--limit", "150"][..], &["--limit", "150", "--source", "two_tower"]] {
        let lines = recommend(arguments, "u1\nnobody\nu2\n\nu1\n");
        let users: Vec<_> = lines.iter().map(|line| line["user"].as_str().unwrap()).collect();
        assert_eq!(users, ["u1", "nobody", "u2", "u1"]);
        assert_eq!(lines[0], lines[3], "no luck in it");
        for line in &lines {
            let items = line["items"].as_array().unwrap();
            assert_eq!(items.len(), 150);
            let mut videos: Vec<_> = items.iter().map(|item| item["video"].as_str().unwrap()).collect();
            videos.sort_unstable();
            videos.dedup();
            assert_eq!(videos.len(), 150);
            assert!(items.iter().all(|item| item["score"].is_number()));
        }
        for (line, taste) in [(0, 1), (2, 2)] {
            let own = categories(&lines[line])[..20].iter().filter(|c| **c == taste).count();
            assert!(own >= 10, "{own} of the first 20 are in category {taste}");
        }
    }
    let lines = recommend(&["--limit", "10", "--source", "trending"], "nobody\n");
    assert_eq!(lines[0]["items"][0]["score"], 1.0);
    assert_eq!(lines[0]["items"][3]["score"], 0.25);
}
