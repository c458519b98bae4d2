//! `foryou replay --live`: a log as a crowd in front of a server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;

/// A log of two people who watch in turn, ten seconds apart.
fn log(dir: &Path, events: usize) -> String {
    let line = |n: usize| {
        let (user, minute, second) = (n % 2, n / 6, n % 6 * 10);
        format!(
            "{{\"id\":\"e{n}\",\"user\":\"u{user}\",\"video\":\"v{}\",\"kind\":\"like\",\"at\":\"2022-04-30T10:{minute:02}:{second:02}.000Z\"}}\n",
            n % 3
        )
    };
    let path = dir.join("log.jsonl");
    std::fs::write(&path, (0..events).rev().map(line).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn replay(dir: &Path, log: &str, url: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foryou"));
    command.args(["replay", log, "--live", "--speed", "10000", "--json", "--url", url]);
    let ended = command.env("FORYOU__DATA__DIR", dir).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}

#[test]
fn a_log_happens_again_in_order_and_its_people_ask_for_feeds() {
    let (dir, server) = (TempDir::new().unwrap(), Server::start().ready());
    server.publish(3);
    let log = log(dir.path(), 60);
    let told = replay(dir.path(), &log, &server.base);
    assert_eq!((&told["events"], &told["accepted"], &told["people"]), (&json!(60), &json!(60), &json!(2)), "{told}");
    assert_eq!((&told["rejected"], &told["duplicates"], &told["feeds_failed"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(told["feeds"], 2, "each on coming: {told}");
    let last = server.get("/v1/users/u1/history?limit=100").expect(200)["events"].take();
    let ids: Vec<&str> = last.as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 30);
    assert!(ids[0].starts_with("e59@") && ids[29].starts_with("e1@"), "{ids:?}");
    // Another time, it is another crowd.
    assert_eq!(replay(dir.path(), &log, &server.base)["accepted"], 60);
}

#[test]
fn a_batch_is_sent_again_as_it_was_until_the_server_says_what_became_of_it() {
    let dir = TempDir::new().unwrap();
    let log = log(dir.path(), 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        // Busy, then gone without an answer, then failing; the fourth time it has the event already.
        let known = json!({"accepted": 0, "results": [{"id": "e0", "status": "duplicate"}]}).to_string();
        let answers = [
            Some("HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
            None,
            Some("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
            Some(format!(
                "HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{known}",
                known.len()
            )),
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            for line in reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = told.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            bodies.push(body);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
        bodies
    });
    let told = replay(dir.path(), &log, &url);
    assert_eq!((&told["accepted"], &told["duplicates"], &told["retries"]), (&json!(0), &json!(1), &json!(3)), "{told}");
    let bodies = server.join().unwrap();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the same event under the same id");
}
