//! The suite that every quarantine passes, with the bus that fills it: see [`crate::quarantine_contract`].
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use std::{any::Any, sync::Arc, time::Duration};

use foryou_schemas::Event;

use super::{Quarantine, Rejected};
use crate::ports::{
    bus::{EventBus, Partitions, Subscription},
    contract::{Subject, event, user},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A quarantine under test.
pub struct Rig {
    /// Where events are published and rejected.
    pub bus: Arc<dyn EventBus>,
    /// Where the rejected ones come to.
    pub quarantine: Arc<dyn Quarantine>,
    /// Whatever works while the test does.
    pub works: Box<dyn Any + Send + Sync>,
}

/// Runs the suite on what a function makes: `quarantine_contract!(fresh)`, with `fn fresh() -> impl Subject<Port = Rig>`.
#[macro_export]
macro_rules! quarantine_contract {
    ($fresh:path) => {
        $crate::quarantine_contract!(
            @each $fresh,
            rejected_events_are_listed_latest_first,
            a_replayed_event_comes_again_and_is_forgotten,
            what_is_discarded_stays_so,
            a_person_is_forgotten,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::ports::quarantine::contract::$clause(&$fresh()).await;
        }
    )*};
}

async fn subscribe(rig: &Rig) -> Box<dyn Subscription> {
    rig.bus.subscribe(&Partitions::all(rig.bus.partitions()), 100).await.unwrap()
}

/// Publishes events of a person and rejects them, one after the other.
async fn reject(rig: &Rig, consumer: &mut Box<dyn Subscription>, events: &[Event], reason: &str) {
    for event in events {
        rig.bus.publish(std::slice::from_ref(event)).await.unwrap();
        let came = tokio::time::timeout(PATIENCE, consumer.next(1)).await.unwrap().unwrap().remove(0);
        let before = rig.quarantine.count().await.unwrap();
        consumer.quarantine(came.tag, reason).await.unwrap();
        holds(rig, before + 1).await;
    }
}

/// Waits until so many are kept.
async fn holds(rig: &Rig, count: u64) {
    let kept = async {
        while rig.quarantine.count().await.unwrap() != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, kept).await.expect("so many are kept");
}

fn events(person: &str, numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|n| event(&user(person), n)).collect()
}

fn names(rejected: &[Rejected]) -> Vec<String> {
    let name = |rejected: &Rejected| {
        let event: serde_json::Value = serde_json::from_slice(&rejected.payload).unwrap();
        event["id"].as_str().unwrap().to_owned()
    };
    rejected.iter().map(name).collect()
}

/// Newest first, page by page, by reason, and after a restart.
pub async fn rejected_events_are_listed_latest_first<S: Subject<Port = Rig>>(subject: &S) {
    let rig = subject.open().await;
    assert!(rig.quarantine.latest(None, None, 10).await.unwrap().is_empty());
    let mut consumer = subscribe(&rig).await;
    reject(&rig, &mut consumer, &events("ann", 0..3), "video: v9 is not in the catalogue").await;
    reject(&rig, &mut consumer, &events("bob", 0..2), "user: is missing").await;
    drop((consumer, rig));
    let rig = subject.open().await;
    let page = rig.quarantine.latest(None, None, 2).await.unwrap();
    assert_eq!(names(&page), ["bob/1", "bob/0"]);
    assert_eq!((page[0].user(), page[0].redelivered, &*page[0].reason), (Some(user("bob")), 0, "user: is missing"));
    assert!(page[0].id < 1 << 53);
    let rest = rig.quarantine.latest(Some(page[1].id), None, 10).await.unwrap();
    assert_eq!(names(&rest), ["ann/2", "ann/1", "ann/0"]);
    assert_eq!(rig.quarantine.latest(None, Some("NOT IN the"), 2).await.unwrap(), rest[..2]);
    assert_eq!(rig.quarantine.get(rest[0].id).await.unwrap().as_ref(), rest.first());
    assert_eq!(rig.quarantine.get(7).await.unwrap(), None);
}

/// What is replayed comes out of the bus as it went in; rejected again, it is kept again.
pub async fn a_replayed_event_comes_again_and_is_forgotten<S: Subject<Port = Rig>>(subject: &S) {
    let rig = subject.open().await;
    let mut consumer = subscribe(&rig).await;
    reject(&rig, &mut consumer, &events("ann", 0..1), "no video").await;
    let kept = rig.quarantine.latest(None, None, 1).await.unwrap().remove(0);
    assert!(rig.quarantine.replay(kept.id).await.unwrap());
    assert!(!rig.quarantine.replay(kept.id).await.unwrap());
    assert_eq!(rig.quarantine.get(kept.id).await.unwrap(), None);
    let came = tokio::time::timeout(PATIENCE, consumer.next(10)).await.unwrap().unwrap();
    assert_eq!((came.len(), &came[0].payload, came[0].partition), (1, &kept.payload, kept.partition));
    consumer.quarantine(came[0].tag, "still no video").await.unwrap();
    holds(&rig, 1).await;
    let again = rig.quarantine.latest(None, None, 1).await.unwrap().remove(0);
    assert!(again.id > kept.id && again.reason == "still no video", "{again:?}");
}

/// What is discarded is gone, also after a restart; the others are not.
pub async fn what_is_discarded_stays_so<S: Subject<Port = Rig>>(subject: &S) {
    let rig = subject.open().await;
    let mut consumer = subscribe(&rig).await;
    reject(&rig, &mut consumer, &events("ann", 0..3), "no video").await;
    let kept = rig.quarantine.latest(None, None, 3).await.unwrap();
    assert!(rig.quarantine.discard(kept[1].id).await.unwrap());
    assert!(!rig.quarantine.discard(kept[1].id).await.unwrap() && !rig.quarantine.discard(5).await.unwrap());
    drop((consumer, rig));
    let rig = subject.open().await;
    assert_eq!(names(&rig.quarantine.latest(None, None, 9).await.unwrap()), ["ann/2", "ann/0"]);
    assert_eq!(rig.quarantine.count().await.unwrap(), 2);
}

/// Nothing about a person is left, and what is about others is.
pub async fn a_person_is_forgotten<S: Subject<Port = Rig>>(subject: &S) {
    let rig = subject.open().await;
    let mut consumer = subscribe(&rig).await;
    reject(&rig, &mut consumer, &events("ann", 0..2), "no video").await;
    reject(&rig, &mut consumer, &events("ann2", 0..1), "no video").await;
    rig.quarantine.forget(&user("nobody")).await.unwrap();
    rig.quarantine.forget(&user("ann")).await.unwrap();
    assert_eq!(names(&rig.quarantine.latest(None, None, 9).await.unwrap()), ["ann2/0"]);
    assert_eq!(rig.quarantine.count().await.unwrap(), 1);
}
