//! Two nodes that share a store: what is trained or activated anywhere serves everywhere.

use std::time::{Duration, Instant};

use foryou_schemas::Timestamp;
use foryou_testing::{Engines, Ground, Node, free_address};
use serde_json::Value;

use crate::world;

/// Under load a release is slow to come; that it comes is what counts.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until feeds of a node come from a release, and gives how long that took.
#[track_caller]
fn serves(node: &Node, release: &str) -> Duration {
    let began = Instant::now();
    loop {
        let answer = node.get("/v1/users/u1/feed?limit=5");
        let from = answer.as_ref().ok().map(|answer| answer.body["release"].clone());
        if from.as_ref().and_then(Value::as_str) == Some(release) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{release} does not serve: {answer:?}\n{}", node.log_end());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn listed(list: &Value) -> Vec<(String, bool)> {
    let releases = list["releases"].as_array().unwrap().iter();
    releases.map(|each| (each["id"].as_str().unwrap().to_owned(), each["active"].as_bool().unwrap())).collect()
}

#[test]
fn real_engines_a_release_that_is_trained_or_activated_anywhere_serves_on_every_node() {
    let ground = Ground::new(env!("CARGO_BIN_EXE_foryou"), &Engines::shared(), 16, "models.keep = 2\n");
    let (log, now) = (ground.dir().join("world.jsonl"), Timestamp::now());
    std::fs::write(&log, world::lines(now)).unwrap();
    ground.run(&["import", "jsonl", log.to_str().unwrap()]);
    let train = |days: i64| {
        let until = now.plus_millis(-days * 86_400_000).to_string();
        ground.run(&["train", "--quick", "--until", &until])["release"].as_str().unwrap().to_owned()
    };
    let first = train(0);
    let (a, b) = (ground.start("node-a", &free_address()), ground.start("node-b", &free_address()));
    println!("the first serves after {:?} and {:?}", serves(&a, &first), serves(&b, &first));

    // Trained beside running nodes, in a folder of its own.
    let second = train(1);
    println!("the second serves after {:?} and {:?}", serves(&a, &second), serves(&b, &second));
    assert_eq!(ground.run(&["release", "rollback"])["release"], *first);
    println!("the first serves again after {:?} and {:?}", serves(&a, &first), serves(&b, &first));
    let of_node = a.get("/admin/api/releases").unwrap().expect(200);
    let of_node: Vec<Value> =
        of_node["releases"].as_array().unwrap().iter().map(|each| each["summary"].clone()).collect();
    let of_command = listed(&ground.run(&["release", "list"]));
    assert_eq!(listed(&serde_json::json!({"releases": of_node})), of_command);
    assert!(of_command.contains(&(first.clone(), true)) && of_command.contains(&(second.clone(), false)));

    // Another machine, with nothing in its folder.
    assert_eq!(ground.run(&["release", "check"])["release"], *first);
    let third = train(2);
    serves(&a, &third);
    serves(&b, &third);
    let names = |list: Value| {
        let mut names: Vec<String> = listed(&list).into_iter().map(|(id, _)| id).collect();
        names.sort_unstable();
        names
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().copied().cloned().collect();
        ids.sort_unstable();
        ids
    };
    // The two newest, the active one and the one before it.
    assert_eq!(names(ground.run(&["release", "list"])), sorted(&[&first, &second, &third]));
    let fourth = train(3);
    assert_eq!(names(ground.run(&["release", "list"])), sorted(&[&third, &fourth]));
    for (name, node) in [("node-a", &a), ("node-b", &b)] {
        serves(node, &fourth);
        let folder = ground.dir().join(name).join("releases");
        let there = || {
            let entries = std::fs::read_dir(&folder).unwrap().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|name| name != "active").collect();
            names.sort_unstable();
            names
        };
        let began = Instant::now();
        while there() != sorted(&[&third, &fourth]) {
            assert!(began.elapsed() < PATIENCE, "{name}: {:?}", there());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
