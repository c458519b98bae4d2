use std::sync::Arc;

use async_trait::async_trait;
use foryou_actors::{
    ports::{
        contract::{Subject, crash_folder, event, kill_during, report, user},
        store::Batch,
    },
    sessions::state::Outcomes,
};
use tempfile::TempDir;

use super::*;

struct Folder(TempDir);

#[async_trait]
impl Subject for Folder {
    type Port = EmbeddedStore;
    async fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.0.path()).unwrap()
    }
}

fn fresh() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

foryou_actors::store_contract!(fresh);

#[tokio::test]
async fn one_process_at_a_time_has_it_open() {
    let folder = fresh();
    let store = folder.open().await;
    let refused = EmbeddedStore::open(folder.0.path()).err().unwrap().to_string();
    assert!(refused.contains("another foryou process holds"), "{refused}");
    drop(store);
    folder.open().await;
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let folder = fresh();
    let store = folder.open().await;
    store.tables.meta.insert("format", 99u64.to_be_bytes()).unwrap();
    drop(store);
    let refused = EmbeddedStore::open(folder.0.path()).err().unwrap().to_string();
    assert!(refused.contains("format 99"), "{refused}");
}

#[tokio::test]
async fn tallies_do_not_go_back_when_an_older_batch_is_repeated() {
    let folder = fresh();
    let batch = |order, value: &[u8]| Batch {
        tallies: vec![(TallyKey::All, value.to_vec())],
        order: Some(order),
        ..Batch::default()
    };
    for reopen in [false, true] {
        let store = folder.open().await;
        for (order, value) in [(4, b"old"), (5, b"new"), (4, b"old")] {
            store.write(batch(order, value)).await.unwrap();
        }
        let mut seen = Vec::new();
        let mut visit = |(_, value)| {
            seen.push(value);
            Ok(())
        };
        assert_eq!(store.scan_tallies(&mut visit).await.unwrap(), 5, "reopened: {reopen}");
        assert_eq!(seen, [b"new"]);
    }
}

/// Writes one batch after the other for each of some people at once, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_writer() {
    let Some(folder) = crash_folder() else { return };
    let store = Arc::new(EmbeddedStore::open(&folder).unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for person in PEOPLE.map(user) {
        let store = store.clone();
        writers.spawn(async move {
            let written = store.history(&person, 1).await.unwrap().first().map_or(0, |latest| latest.seq);
            for seq in written + 1.. {
                let event = event(&person, seq);
                let activity = Activity {
                    event,
                    seq,
                    order: seq,
                    gained: Outcomes::VIEW,
                    lost: Outcomes::NONE,
                    expected: foryou_actors::statistics::Expected::default(),
                };
                let batch = Batch {
                    activity: vec![activity],
                    snapshots: vec![(person.clone(), seq, seq.to_be_bytes().to_vec())],
                    tallies: vec![(TallyKey::Video(person.as_str().into()), seq.to_be_bytes().to_vec())],
                    ..Batch::default()
                };
                store.write(batch).await.unwrap();
                report(&format!("{person} {seq}"));
            }
        });
    }
    writers.join_next().await;
}

const PEOPLE: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_and_batches_are_whole() {
    let folder = fresh();
    for reports in [1, 37, 400, 1_501] {
        let done = kill_during("stores::embedded::tests::crash_writer", folder.0.path(), reports);
        let store = folder.open().await;
        let mut tallies = std::collections::HashMap::new();
        let mut visit = |(key, value): (_, Vec<u8>)| {
            tallies.insert(key, value);
            Ok(())
        };
        store.scan_tallies(&mut visit).await.unwrap();
        for person in PEOPLE.map(user) {
            let history = store.history(&person, usize::MAX).await.unwrap();
            let latest = history.len() as u64;
            assert!(history.iter().rev().zip(1..).all(|(activity, seq)| activity.seq == seq));
            let reported =
                done.iter().filter_map(|line| line.split_once(' ')).filter(|(who, _)| *who == person.as_str());
            let acknowledged = reported.map(|(_, seq)| seq.parse().unwrap()).max().unwrap_or(0);
            assert!(latest >= acknowledged, "{person}: {latest} events, and {acknowledged} were acknowledged");
            if latest > 0 {
                let bytes = latest.to_be_bytes().to_vec();
                assert_eq!(store.session(&person).await.unwrap().snapshot, Some(bytes.clone()));
                assert_eq!(tallies.get(&TallyKey::Video(person.as_str().into())), Some(&bytes));
                assert_eq!(store.known_events(&[event(&person, latest).id]).await.unwrap(), [true]);
                assert_eq!(store.known_events(&[event(&person, latest + 1).id]).await.unwrap(), [false]);
            }
        }
    }
}
