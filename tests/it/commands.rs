//! The binary as it is started from a shell: exit codes, what it says, and where it says it.

use std::{path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::Server;

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Asserts that it failed with this code, said this on standard error, and nothing on standard output.
    #[track_caller]
    fn failed(&self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(self.err.contains(says), "{says:?} is not in {:?}", self.err);
        assert_eq!(self.out, "");
    }
}

fn foryou(data: &Path, line: &str, variables: &[(&str, &str)]) -> Ended {
    let ended = Command::new(env!("CARGO_BIN_EXE_foryou"))
        .args(line.split_whitespace())
        .env("FORYOU__DATA__DIR", data)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: ended.status.code(), out: text(ended.stdout), err: text(ended.stderr) }
}

#[test]
fn wrong_usage_exits_with_2() {
    let dir = TempDir::new().unwrap();
    foryou(dir.path(), "train --until yesterday", &[]).failed(2, "RFC 3339");
    foryou(dir.path(), "replay log.parquet", &[]).failed(2, "--predictions");
    foryou(dir.path(), "replay log.parquet --predictions missing/out.parquet", &[]).failed(2, "missing");
    foryou(dir.path(), "release demolish", &[]).failed(2, "demolish");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn what_is_missing_is_named_and_exits_with_1() {
    let dir = TempDir::new().unwrap();
    foryou(dir.path(), "train", &[]).failed(1, "import data first");
    foryou(dir.path(), "evaluate --json", &[]).failed(1, "foryou train");
    foryou(dir.path(), "release show", &[]).failed(1, "foryou train");
    foryou(dir.path(), "release activate r1", &[]).failed(1, "there is no release r1");
    foryou(dir.path(), "release rollback", &[]).failed(1, "no other release was live before");
    let list = foryou(dir.path(), "release list --json", &[]);
    assert_eq!(serde_json::from_str::<Value>(&list.out).unwrap(), serde_json::json!({"releases": []}));
}

#[test]
fn a_missing_onnx_runtime_is_told_before_anything_is_done() {
    let dir = TempDir::new().unwrap();
    let nowhere = dir.path().join("libonnxruntime.so");
    for variable in ["ORT_DYLIB_PATH", "FORYOU__MODELS__ONNXRUNTIME"] {
        let train = foryou(dir.path(), "train", &[(variable, nowhere.to_str().unwrap())]);
        train.failed(1, nowhere.to_str().unwrap());
        assert!(train.err.contains("models.onnxruntime"), "{}", train.err);
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_store_that_a_server_holds_is_refused() {
    let dir = TempDir::new().unwrap();
    let server = Server::start_in(dir.path(), "");
    foryou(dir.path(), "train", &[]).failed(1, "another foryou process holds");
    drop(server);
    foryou(dir.path(), "train", &[]).failed(1, "import data first");
}

#[test]
fn one_node_has_no_others_to_list() {
    let dir = TempDir::new().unwrap();
    let said = foryou(dir.path(), "nodes", &[]);
    assert!(said.code == Some(0) && said.out.contains("one node"), "{}{}", said.out, said.err);
    let json = foryou(dir.path(), "nodes --json", &[]);
    assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap(), serde_json::json!({"nodes": []}));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

mod real_engines {
    use foryou::{config::Config, stores::scylla::ScyllaStore};
    use foryou_actors::ports::cluster::{Cluster, Node};
    use foryou_schemas::Timestamp;
    use foryou_testing::{Engines, unique};

    use super::*;

    #[test]
    fn nodes_are_listed_with_what_they_hold() {
        let (dir, engines, name) = (TempDir::new().unwrap(), Engines::shared(), unique());
        let file = dir.path().join("foryou.toml");
        let settings = engines.store_settings(&name);
        std::fs::write(&file, &settings).unwrap();
        let run = |line: &str| foryou(dir.path(), &format!("{line} --config {}", file.display()), &[]);
        run("nodes").failed(1, "foryou migrate");
        assert_eq!(run("migrate").code, Some(0));
        assert!(run("nodes").out.contains("no node is running"));
        let config = Config::read(&settings, "the test", []).unwrap().store.scylla;
        let node = |name: &str, held: std::ops::Range<u16>| Node {
            name: name.into(),
            address: format!("{name}:8080").into(),
            incarnation: "i".into(),
            beat: 7,
            started_at: Timestamp::now(),
            held: held.collect(),
            version: "0.1.0".into(),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = ScyllaStore::connect(&config, "node-a").await.unwrap();
            for node in [node("node-b", 32..64), node("node-a", 0..32)] {
                store.beat(&node, std::time::Duration::from_secs(60)).await.unwrap();
            }
        });
        let (text, json) = (run("nodes"), run("nodes --json"));
        runtime.block_on(async {
            let session = scylla::client::session_builder::SessionBuilder::new().known_node(&engines.cassandra);
            let session = session.build().await.unwrap();
            session.query_unpaged(format!("DROP KEYSPACE {name}"), ()).await.unwrap();
        });
        assert!(
            text.out.lines().any(|line| line.starts_with("node-b") && line.ends_with("32: p32-p63")),
            "{}",
            text.out
        );
        let listed: Value = serde_json::from_str(&json.out).unwrap();
        let nodes = listed["nodes"].as_array().unwrap();
        assert_eq!((nodes.len(), &nodes[0]["node"], &nodes[1]["node"]), (2, &"node-a".into(), &"node-b".into()));
        assert_eq!(nodes[0]["holds"], serde_json::json!({"count": 32, "ranges": ["p00-p31"]}));
        assert_eq!((&nodes[0]["address"], &nodes[0]["beat"]), (&"node-a:8080".into(), &7.into()));
    }
}
