use std::{collections::BTreeSet, fs::OpenOptions};

use foryou_actors::ports::{
    bus::contract::SMALL,
    contract::{Subject, crash_folder, event, kill_during, report, user},
};
use tempfile::TempDir;

use super::*;

struct Folder(TempDir);

#[async_trait]
impl Subject for Folder {
    type Port = EmbeddedBus;
    async fn open(&self) -> EmbeddedBus {
        EmbeddedBus::open(self.0.path(), small()).unwrap()
    }
}

fn fresh() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

/// Full soon, and a new file every few events.
fn small() -> BusSettings {
    BusSettings { max_unacked: SMALL, segment_bytes: 2_000, ..BusSettings::default() }
}

foryou_actors::bus_contract!(fresh);

fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|n| event(&user("ann"), n)).collect()
}

async fn subscribe(bus: &EmbeddedBus, credit: usize) -> Box<dyn Subscription> {
    bus.subscribe(&Partitions::all(bus.partitions()), credit).await.unwrap()
}

fn logs(folder: &Folder) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder.0.path()).unwrap().map(|file| file.unwrap().path());
    let mut logs: Vec<_> = files.filter(|path| path.extension().is_some_and(|ext| ext == "log")).collect();
    logs.sort();
    logs
}

#[tokio::test]
async fn one_process_at_a_time_has_it_open() {
    let folder = fresh();
    let bus = folder.open().await;
    let refused = EmbeddedBus::open(folder.0.path(), small()).err().unwrap().to_string();
    assert!(refused.contains("another foryou process holds"), "{refused}");
    drop(bus);
    folder.open().await;
}

#[tokio::test]
async fn closing_ends_consumers_and_refuses_publishers() {
    let bus = fresh().open().await;
    let mut consumer = subscribe(&bus, 1).await;
    let (ended, ()) = tokio::join!(consumer.next(1), async { bus.close() });
    assert!(ended.unwrap().is_empty());
    assert!(matches!(bus.publish(&numbered(0..1)).await, Err(BusError::Away(_))));
}

#[tokio::test]
async fn the_bound_counts_bytes_too() {
    let folder = fresh();
    let bus = EmbeddedBus::open(folder.0.path(), BusSettings { max_unacked_bytes: 1_000, ..small() }).unwrap();
    assert!(matches!(bus.publish(&numbered(0..100)).await, Err(BusError::Full { .. })));
    bus.publish(&numbered(0..2)).await.unwrap();
}

#[tokio::test]
async fn files_that_are_settled_are_deleted_wherever_they_stand() {
    let folder = fresh();
    let bus = folder.open().await;
    let mut consumer = subscribe(&bus, 1_000).await;
    for n in 0..300 {
        bus.publish(&numbered(n..n + 1)).await.unwrap();
    }
    let all = consumer.next(1_000).await.unwrap();
    let many = logs(&folder).len();
    assert!(many > 10);
    let but_one: Vec<_> = all.iter().map(|delivery| delivery.tag).filter(|tag| *tag != 150).collect();
    consumer.ack(&but_one).await.unwrap();
    assert_eq!(logs(&folder).len(), 2, "the one with the event that is left, and the last");
    consumer.ack(&[150]).await.unwrap();
    drop((consumer, bus));
    let bus = folder.open().await;
    assert_eq!(logs(&folder).len(), 1);
    let mut consumer = subscribe(&bus, 1).await;
    bus.publish(&numbered(0..1)).await.unwrap();
    assert_eq!(consumer.next(1).await.unwrap()[0].tag, 301, "tags grow on");
}

#[tokio::test]
async fn quarantined_events_are_listed_with_the_reason() {
    let folder = fresh();
    let bus = folder.open().await;
    bus.publish(&numbered(0..3)).await.unwrap();
    let mut consumer = subscribe(&bus, 10).await;
    let all = consumer.next(10).await.unwrap();
    consumer.quarantine(all[0].tag, "no such video").await.unwrap();
    consumer.quarantine(all[2].tag, "too old").await.unwrap();
    // What is settled, or was never delivered here, is left alone.
    consumer.quarantine(all[2].tag, "again").await.unwrap();
    consumer.quarantine(99, "whatever").await.unwrap();
    drop((consumer, bus));
    let bus = folder.open().await;
    assert_eq!(bus.quarantine_count(), 2);
    let listed = bus.quarantined(None, 10).await.unwrap();
    assert_eq!(listed[0].reason, "no such video");
    assert_eq!(listed[0].payload, all[0].payload);
    assert_eq!(bus.quarantined(Some(listed[0].tag), 1).await.unwrap(), listed[1..]);
}

#[tokio::test]
async fn an_event_that_ends_the_process_is_known_by_its_deliveries() {
    let folder = fresh();
    folder.open().await.publish(&numbered(0..1)).await.unwrap();
    for starts in 1..4 {
        let bus = folder.open().await;
        let mut consumer = subscribe(&bus, 1).await;
        assert_eq!(consumer.next(1).await.unwrap()[0].redelivered, starts);
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_at_every_byte() {
    let folder = fresh();
    let bus = EmbeddedBus::open(folder.0.path(), BusSettings::default()).unwrap();
    let mut ends = Vec::new();
    for n in 0..3 {
        bus.publish(&numbered(n..n + 1)).await.unwrap();
        let bytes = fs::read(&logs(&folder)[0]).unwrap();
        ends.push(record::read_all(&bytes, |_| Ok::<_, ()>(())).unwrap());
        assert_eq!(bytes.len(), 512 << 10, "it grows ahead of what is written");
        assert!(bytes[ends[n as usize]..].iter().all(|byte| *byte == 0));
    }
    drop(bus);
    let log = logs(&folder).remove(0);
    let mut whole = fs::read(&log).unwrap();
    whole.truncate(ends[2]);
    for length in (0..whole.len()).step_by(7).chain(ends.clone()) {
        let copy = fresh();
        // Zeros: what a file system may show for bytes that never reached the disk.
        let zeros = if length % 2 == 0 { 0 } else { 500 };
        let torn = [&whole[..length], &vec![0; zeros][..]].concat();
        fs::write(copy.0.path().join(log.file_name().unwrap()), torn).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count() as u64;
        for start in 0..2 {
            let bus = copy.open().await;
            assert_eq!(bus.depth().await.unwrap(), kept + start, "after {length} bytes");
            bus.publish(&numbered(10..11)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn damage_before_the_end_is_an_error_that_names_the_file() {
    let folder = fresh();
    let bus = folder.open().await;
    for n in 0..50 {
        bus.publish(&numbered(n..n + 1)).await.unwrap();
    }
    drop(bus);
    let first = logs(&folder).remove(0);
    let length = fs::metadata(&first).unwrap().len();
    OpenOptions::new().write(true).open(&first).unwrap().set_len(length - 1).unwrap();
    let refused = EmbeddedBus::open(folder.0.path(), small()).err().unwrap().to_string();
    assert!(refused.contains(first.file_name().unwrap().to_str().unwrap()), "{refused}");
}

/// Publishes from several tasks and consumes, acknowledging all but every third event, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_publisher() {
    let Some(folder) = crash_folder() else { return };
    let bus =
        Arc::new(EmbeddedBus::open(&folder, BusSettings { segment_bytes: 10_000, ..BusSettings::default() }).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4 {
        let bus = bus.clone();
        tasks.spawn(async move {
            let person = user(&format!("{}-{n}", std::process::id()));
            for n in 0.. {
                let event = event(&person, n);
                bus.publish(std::slice::from_ref(&event)).await.unwrap();
                report(&format!("published {}", event.id));
            }
        });
    }
    let mut consumer = subscribe(&bus, 100_000).await;
    tasks.spawn(async move {
        loop {
            for delivery in consumer.next(16).await.unwrap() {
                if delivery.tag % 3 > 0 {
                    consumer.ack(&[delivery.tag]).await.unwrap();
                    report(&format!("settled {}", id(&delivery.payload)));
                }
            }
        }
    });
    tasks.join_next().await;
}

fn id(payload: &[u8]) -> String {
    let event: serde_json::Value = serde_json::from_slice(payload).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = fresh();
    let (mut published, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for reports in [1, 50, 700, 2_003] {
        for line in kill_during("brokers::embedded::tests::crash_publisher", folder.0.path(), reports) {
            let (what, id) = line.split_once(' ').unwrap();
            if what == "published" { &mut published } else { &mut settled }.insert(id.to_owned());
        }
        let bus = EmbeddedBus::open(folder.0.path(), BusSettings::default()).unwrap();
        let mut consumer = subscribe(&bus, usize::MAX).await;
        // A consumer of nothing would wait.
        let nothing = bus.depth().await.unwrap() == 0;
        let left = if nothing { Vec::new() } else { consumer.next(usize::MAX).await.unwrap() };
        assert!(left.iter().all(|delivery| delivery.redelivered > 0));
        let left: BTreeSet<_> = left.iter().map(|delivery| id(&delivery.payload)).collect();
        let lost: Vec<_> = published.difference(&settled).filter(|id| !left.contains(*id)).collect();
        // At the end an event may have been settled, and the process killed before it could say so.
        assert!(lost.len() <= 1, "lost {lost:?}");
        let again: Vec<_> = left.intersection(&settled).collect();
        assert!(again.is_empty(), "settled, and came again: {again:?}");
        settled.extend(lost.into_iter().cloned().collect::<Vec<_>>());
    }
}

/// The bus as the quarantine of its own.
struct Kept(Folder);

#[async_trait]
impl Subject for Kept {
    type Port = foryou_actors::ports::quarantine::contract::Rig;
    async fn open(&self) -> Self::Port {
        let bus = Arc::new(self.0.open().await);
        Self::Port { bus: bus.clone(), quarantine: bus, works: Box::new(()) }
    }
}

fn kept() -> Kept {
    Kept(fresh())
}

foryou_actors::quarantine_contract!(kept);
