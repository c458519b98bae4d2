//! The example producers, run as people run them, on a real broker before a real server. Their packages come by pip and npm into a
//! temporary folder.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use foryou_testing::{Engines, Ground, Node, free_address};
use serde_json::{Value, json};

const PARTITIONS: u16 = 8;
const EVENTS: usize = 30;

fn examples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/producers"))
}

/// Runs a program to its end, and gives what it said. `missing` says how to get one that is not there.
#[track_caller]
fn run(command: &mut Command, input: &str, missing: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("{program} cannot be run ({error}): {missing}, or run `make test-embedded`, which leaves this test out")
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let [said, error] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {said}{error}");
    said
}

/// A few people's events in turn, as lines; one of them twice.
fn events(of: &str) -> String {
    let event = |n: usize| json!({"id": format!("{of}-{n}"), "user": person(of, n), "video": format!("v{}", n % 10), "kind": "view", "watch_ms": 5_000});
    (0..EVENTS).chain([7]).map(|n| event(n).to_string() + "\n").collect()
}

/// Names whose bytes are not ASCII go the right way, too.
fn person(of: &str, n: usize) -> String {
    format!("{of}-{}", ["ann", "zoë", "用户"][n % 3])
}

/// Everybody's history is what was published, in the order in which it was.
#[track_caller]
fn arrived(node: &Node, of: &str) {
    for first in 0..3 {
        let person = person(of, first);
        let path: String = person.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut expected: Vec<String> = (first..EVENTS).step_by(3).map(|n| format!("{of}-{n}")).collect();
        expected.reverse();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = node.get(&format!("/v1/users/{path}/history?limit=100")).unwrap();
            let events = answer.body["events"].as_array().cloned().unwrap_or_default();
            let ids: Vec<Value> = events.iter().map(|event| event["id"].clone()).collect();
            if ids == expected {
                break;
            }
            assert!(Instant::now() < until, "{person}: {ids:?}, not {expected:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn real_engines_take_the_events_of_the_example_producers() {
    let engines = Engines::shared();
    let ground = Ground::new(env!("CARGO_BIN_EXE_foryou"), &engines, PARTITIONS, "");
    let mut node = ground.start("one", &free_address());
    node.wait_for("/readyz");
    let video = |n| json!({"id": format!("v{n}"), "creator": "c", "category": "x", "duration_ms": 10_000});
    let videos: Vec<_> = (0..10).map(video).collect();
    node.post("/v1/videos", &json!({ "videos": videos })).unwrap().expect(202);
    let packages = tempfile::tempdir().unwrap();
    let environment = [
        ("AMQP_URL", engines.rabbitmq.clone()),
        ("FORYOU_NAME", ground.name().to_owned()),
        ("FORYOU_PARTITIONS", PARTITIONS.to_string()),
    ];
    let confirmed = format!("{} events confirmed\n", EVENTS + 1);

    let python = "install Python 3 with pip";
    let target = packages.path().join("python");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]).arg(&target);
    run(pip.arg("--requirement").arg(examples().join("python/requirements.txt")), "", python);
    let mut producer = Command::new("python3");
    producer.arg(examples().join("python/producer.py")).env("PYTHONPATH", &target).envs(environment.clone());
    assert_eq!(run(&mut producer, &events("python"), python), confirmed);
    arrived(&node, "python");

    let javascript = "install Node.js 18 or newer with npm";
    let target = packages.path().join("node");
    fs::create_dir(&target).unwrap();
    for file in ["package.json", "producer.mjs"] {
        fs::copy(examples().join("node").join(file), target.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    run(npm.args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&target), "", javascript);
    let mut producer = Command::new("node");
    producer.arg(target.join("producer.mjs")).envs(environment);
    assert_eq!(run(&mut producer, &events("node"), javascript), confirmed);
    arrived(&node, "node");
    node.stop();
}
