use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use foryou_actors::{
    ports::store::{Batch, Impression},
    services::{
        supervisor::{RestartPolicy, Supervisor},
        writer::{FeatureWriter, NotTaken, WriterSettings},
    },
};
use foryou_schemas::{FeedId, Timestamp};

use super::{
    memory::MemoryStore,
    rig::{DEADLINE, user},
};

fn snapshot(n: u32, seq: u64) -> Batch {
    Batch { snapshots: vec![(user(n), seq, vec![1])], ..Batch::default() }
}

fn impression(n: u32) -> Impression {
    let feed = FeedId::new(format!("f{n}")).unwrap();
    Impression { user: user(n), at: Timestamp::now(), feed, record: vec![] }
}

async fn start(settings: WriterSettings) -> (std::sync::Arc<MemoryStore>, FeatureWriter, Supervisor) {
    let store = MemoryStore::new();
    let (writer, spec) = FeatureWriter::new(settings, store.clone());
    let policy = RestartPolicy { first_backoff: Duration::from_millis(1), ..RestartPolicy::default() };
    let supervisor = Supervisor::start(policy, vec![spec]).await.unwrap();
    assert!(supervisor.ready().await);
    (store, writer, supervisor)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_gathered_and_survive_an_absent_store_and_a_panic() {
    let settings = WriterSettings { first_backoff: Duration::from_millis(1), ..WriterSettings::default() };
    let (store, writer, supervisor) = start(settings).await;
    store.away.store(true, SeqCst);
    let mut receipts = Vec::new();
    for n in 0..50 {
        receipts.push(writer.submit(snapshot(n % 10, u64::from(n)), Some(writer.tickets().draw())).await.unwrap());
    }
    store.attempts.subscribe().wait_for(|n| *n > 2).await.unwrap();
    assert_eq!((store.writes.load(SeqCst), writer.tickets().durable()), (0, 0));
    store.panic_once.store(true, SeqCst);
    store.away.store(false, SeqCst);
    for receipt in receipts {
        receipt.durable().await.unwrap();
    }
    assert_eq!(writer.tickets().durable(), 50);
    assert_eq!(store.stored.lock().snapshots[&user(3)].0, 43, "the latest stands");
    assert!(store.writes.load(SeqCst) < 10);
    let status = &supervisor.status()[0];
    assert_eq!((status.restarts, status.queues[0].1.depth), (1, 0));
    assert!(status.last_error.as_ref().unwrap().contains("asked to panic"), "{status:?}");
    supervisor.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_bounded_and_impressions_overflow() {
    let settings =
        WriterSettings { queue: 4, impressions: 3, linger: Duration::from_millis(1), ..WriterSettings::default() };
    let (store, writer, supervisor) = start(settings).await;
    store.open.send_replace(false);
    let receipts: Vec<_> = (0..4).map(|n| writer.try_submit(snapshot(n, 1)).unwrap()).collect();
    assert!(matches!(writer.try_submit(snapshot(9, 1)), Err(NotTaken::Full)));
    let taken = (0..5).filter(|n| writer.log_impression(impression(*n))).count();
    assert_eq!(taken, 3);
    let queues = supervisor.status()[0].queues.clone();
    assert_eq!((queues[0].1.depth, queues[0].1.capacity, queues[1].1.dropped), (4, 4, 2));
    store.open.send_replace(true);
    for receipt in receipts {
        receipt.durable().await.unwrap();
    }
    // Stopping drains.
    assert!(writer.try_submit(snapshot(9, 1)).is_ok() && supervisor.stop(DEADLINE).await.is_empty());
    let kept = {
        let stored = store.stored.lock();
        (stored.impressions.len(), stored.snapshots.len())
    };
    assert_eq!(kept, (3, 5));
    assert!(matches!(writer.try_submit(snapshot(9, 1)), Err(NotTaken::Closed)) && writer.flush().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_cannot_drain_is_killed_at_the_deadline() {
    let (store, writer, supervisor) = start(WriterSettings::default()).await;
    store.away.store(true, SeqCst);
    let receipt = writer.try_submit(snapshot(1, 1)).unwrap();
    assert_eq!(supervisor.stop(Duration::from_millis(50)).await, ["feature_writer"]);
    drop((writer, supervisor));
    assert!(receipt.durable().await.is_err());
}
