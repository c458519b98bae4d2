//! Batches that are broken off, and owners that are taken over.

use std::time::Duration;

use foryou_actors::{
    ports::{
        cluster::Cluster,
        contract::{event, instant, user},
        store::creators::{Change, Newest, Said, Standing, What},
    },
    sessions::state::Outcomes,
    statistics::Expected,
};
use foryou_schemas::{CreatorId, FeedId};

use super::*;
use crate::stores::scylla::{entry::Entry, journal::KEPT};

fn activity(person: &UserId, seq: u64) -> Activity {
    let (gained, lost, expected) = (Outcomes::VIEW, Outcomes::NONE, Expected::default());
    Activity { event: event(person, seq), seq, order: seq, gained, lost, expected }
}

/// Of one creator after the other, and taken back now and then.
fn said(person: &UserId, n: u64) -> Said {
    Said {
        user: person.clone(),
        creator: CreatorId::new(format!("c{}", n % 5)).unwrap(),
        what: if n.is_multiple_of(3) { What::Unfollow } else { What::Follow },
        at: instant(n),
        event: Some(event(person, n).id),
    }
}

/// Some of everything, with the events of these numbers.
fn batch(person: &UserId, numbers: std::ops::RangeInclusive<u64>) -> Batch {
    let last = *numbers.end();
    let impression = |n| Impression {
        user: person.clone(),
        at: instant(n),
        feed: FeedId::new(format!("f{n}")).unwrap(),
        record: vec![n as u8; 500],
    };
    Batch {
        impressions: numbers.clone().map(impression).collect(),
        creators: numbers.clone().map(|n| said(person, n)).collect(),
        activity: numbers.map(|seq| activity(person, seq)).collect(),
        snapshots: vec![(person.clone(), last, last.to_be_bytes().to_vec())],
        tallies: vec![(TallyKey::All, last.to_be_bytes().to_vec()), (TallyKey::Band(3), b"band".to_vec())],
        order: Some(last),
    }
}

/// Asserts that exactly the events `1..=last` are there, with all that belongs to them.
async fn assert_whole(store: &ScyllaStore, owner: &ScyllaStore, person: &UserId, last: u64) {
    let mut events = store.history(person, usize::MAX).await.unwrap();
    events.reverse();
    assert_eq!(events, (1..=last).map(|seq| activity(person, seq)).collect::<Vec<_>>());
    let mut standings: HashMap<CreatorId, Change> = HashMap::new();
    (1..=last)
        .map(|n| said(person, n))
        .for_each(|said| standings.entry(said.creator).or_default().add(said.what, said.at));
    let mut newest = Newest::new(None, usize::MAX);
    standings.into_iter().for_each(|(creator, change)| newest.add(creator, change.apply(Standing::default())));
    assert_eq!(store.creators(person, None, usize::MAX).await.unwrap(), newest.list());
    let session = store.session(person).await.unwrap();
    assert_eq!((session.snapshot, session.tail), (Some(last.to_be_bytes().to_vec()), Vec::new()));
    let ids: Vec<_> = (1..=last + 1).map(|seq| event(person, seq).id).collect();
    assert_eq!(store.known_events(&ids).await.unwrap().iter().filter(|known| **known).count() as u64, last);
    let (tallies, order) = tallies(owner).await;
    assert_eq!(order, last);
    assert!(tallies.contains(&(TallyKey::All, last.to_be_bytes().to_vec())), "{tallies:?}");
    let mut feeds = 0;
    let mut visit = |_| {
        feeds += 1;
        Ok(())
    };
    store.scan_impressions(&mut visit).await.unwrap();
    // The log of served feeds has gaps where a write broke off and nobody repeated it.
    assert!(feeds <= last, "{feeds} of {last} feeds");
    let mut scanned = 0;
    let mut visit = |_| {
        scanned += 1;
        Ok(())
    };
    store.scan_activity(&mut visit).await.unwrap();
    assert_eq!(scanned, last);
}

async fn tallies(store: &ScyllaStore) -> (Vec<(TallyKey, Vec<u8>)>, u64) {
    let mut tallies = Vec::new();
    let mut visit = |row| {
        tallies.push(row);
        Ok(())
    };
    let order = store.scan_tallies(&mut visit).await.unwrap();
    tallies.sort();
    (tallies, order)
}

fn break_off(store: &ScyllaStore, after: Fault) {
    *store.shared.fault.lock() = Some(after);
}

#[tokio::test]
async fn a_batch_that_was_broken_off_is_whole_after_a_take_over() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    a.write(batch(&ann, 1..=2)).await.unwrap();
    break_off(&a, Fault::Committed);
    assert!(matches!(a.write(batch(&ann, 3..=5)).await, Err(StoreError::Away(_))));
    assert_eq!(b.history(&ann, 9).await.unwrap().len(), 2, "nothing of it is there yet");
    b.take_over("a").await.unwrap();
    assert_whole(&b, &a, &ann, 5).await;
    b.take_over("a").await.unwrap();
    assert_whole(&b, &a, &ann, 5).await;
}

#[tokio::test]
async fn a_batch_of_which_a_part_was_written_is_completed() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    break_off(&a, Fault::Committed);
    a.write(batch(&ann, 1..=4)).await.unwrap_err();
    // As if the process had ended when these rows were written: ids without activity, and half the activity.
    let shared = &a.shared;
    let mut part = Entry { at: shared.clock.next(), ..Entry::default() };
    for seq in [1, 3] {
        let event = entry::Blob(rows::write_activity(&activity(&ann, seq)).unwrap());
        let id = rows::hashed_id(&self::event(&ann, seq).id);
        part.activity.push(entry::Acted { user: ann.clone(), seq, id, event });
    }
    let to = shared.link.get().unwrap();
    fan_out::fan_out(&to, shared.kept, &part, &[]).await.unwrap();
    b.take_over("a").await.unwrap();
    assert_whole(&b, &a, &ann, 4).await;
}

#[tokio::test]
async fn a_batch_that_was_not_committed_never_was() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    a.write(batch(&ann, 1..=2)).await.unwrap();
    break_off(&a, Fault::Put);
    a.write(batch(&ann, 3..=5)).await.unwrap_err();
    b.take_over("a").await.unwrap();
    assert_whole(&b, &a, &ann, 2).await;
}

#[tokio::test]
async fn whoever_repeats_a_broken_off_write_completes_it() {
    for step in [Fault::Put, Fault::Committed] {
        let keyspace = fresh();
        migrate(&keyspace.0).await.unwrap();
        let (a, ann) = (keyspace.open_as("a").await, user("ann"));
        a.write(batch(&ann, 1..=2)).await.unwrap();
        break_off(&a, step);
        a.write(batch(&ann, 3..=5)).await.unwrap_err();
        a.write(batch(&ann, 3..=5)).await.unwrap();
        assert_whole(&a, &a, &ann, 5).await;
        break_off(&a, step);
        a.write(batch(&ann, 6..=6)).await.unwrap_err();
        a.write(batch(&ann, 6..=7)).await.unwrap();
        assert_whole(&a, &a, &ann, 7).await;
    }
}

#[tokio::test]
async fn a_new_process_of_the_same_name_completes_what_the_former_began() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, ann) = (keyspace.open_as("a").await, user("ann"));
    break_off(&a, Fault::Committed);
    a.write(batch(&ann, 1..=3)).await.unwrap_err();
    let again = keyspace.open_as("a").await;
    again.begin().await.unwrap();
    assert_whole(&again, &again, &ann, 3).await;
}

#[tokio::test]
async fn who_was_taken_over_is_told_once_and_begins_anew() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    // Before it ever wrote, too.
    a.begin().await.unwrap();
    for last in [1, 2] {
        b.take_over("a").await.unwrap();
        let fenced = a.write(batch(&ann, 1..=last)).await;
        assert!(matches!(fenced, Err(StoreError::Fenced(_))), "{fenced:?}");
        assert_eq!(b.history(&ann, 9).await.unwrap().len() as u64, last - 1, "nothing of it was written");
        a.write(batch(&ann, 1..=last)).await.unwrap();
        assert_eq!(b.history(&ann, 9).await.unwrap().len() as u64, last);
    }
    let twin = keyspace.open_as("a").await;
    twin.begin().await.unwrap();
    assert!(matches!(a.write(batch(&ann, 3..=3)).await, Err(StoreError::Fenced(_))));
    twin.write(batch(&ann, 3..=3)).await.unwrap();
}

#[tokio::test]
async fn a_node_that_never_wrote_is_told_of_a_take_over() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    a.beat(&cluster::node("a", "1", 1), Duration::from_secs(60)).await.unwrap();
    b.take_over("a").await.unwrap();
    a.beat(&cluster::node("a", "1", 2), Duration::from_secs(60)).await.unwrap();
    assert!(matches!(a.write(batch(&ann, 1..=1)).await, Err(StoreError::Fenced(_))));
    a.write(batch(&ann, 1..=1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_over_at_once() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, ann) = (keyspace.open_as("a").await, user("ann"));
    a.write(batch(&ann, 1..=2)).await.unwrap();
    break_off(&a, Fault::Committed);
    a.write(batch(&ann, 3..=9)).await.unwrap_err();
    let mut takers = tokio::task::JoinSet::new();
    for name in ["b", "c", "d", "e"] {
        let taker = keyspace.open_as(name).await;
        let ann = ann.clone();
        takers.spawn(async move {
            taker.take_over("a").await.unwrap();
            assert_eq!(taker.history(&ann, 99).await.unwrap().len(), 9, "whole when it returns");
        });
    }
    while let Some(done) = takers.join_next().await {
        done.unwrap();
    }
    assert!(matches!(a.write(batch(&ann, 10..=10)).await, Err(StoreError::Fenced(_))));
    assert_whole(&a, &a, &ann, 9).await;
}

#[tokio::test]
async fn a_large_batch_leaves_nothing_in_the_journal_of_a_small_one() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    // 1.5 MB with the impressions: several parts, in both slots.
    let mut last = 0;
    for count in [3_000, 3_000, 1, 1] {
        break_off(&a, Fault::Committed);
        a.write(batch(&ann, last + 1..=last + count)).await.unwrap_err();
        last += count;
        b.take_over("a").await.unwrap();
        let _told_of_the_take_over = a.write(Batch { order: Some(last), ..Batch::default() }).await;
    }
    assert_whole(&b, &a, &ann, last).await;
}

#[tokio::test]
async fn a_slot_of_the_journal_that_held_a_large_batch_takes_small_ones() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    a.write(batch(&ann, 1..=3_000)).await.unwrap();
    let (mut last, slots) = (3_000, KEPT as u64 + 1);
    // Twice around: the slot's first small batch, and its second.
    for _ in 0..2 * slots - 1 {
        last += 1;
        a.write(batch(&ann, last..=last)).await.unwrap();
    }
    break_off(&a, Fault::Committed);
    a.write(batch(&ann, last + 1..=last + 1)).await.unwrap_err();
    b.take_over("a").await.unwrap();
    assert_whole(&b, &a, &ann, last + 1).await;
}

#[tokio::test]
async fn what_the_table_of_before_knows_was_written() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (ann, ids) = (user("ann"), [1, 2].map(|seq| event(&user("ann"), seq).id));
    let a = keyspace.open_as("a").await;
    assert_eq!(a.known_events(&ids).await.unwrap(), [false, false]);
    let id = rows::hashed_id(&ids[0]);
    let put = "INSERT INTO event_ids (shard, id) VALUES (?, ?)";
    let to = a.shared.link.get().unwrap();
    to.session.query_unpaged(put, (i32::from(id[0]) % 64, &id[..])).await.unwrap();
    let b = keyspace.open_as("b").await;
    assert_eq!(b.known_events(&ids).await.unwrap(), [true, false]);
    b.write(batch(&ann, 1..=2)).await.unwrap();
    assert_eq!(b.history(&ann, 9).await.unwrap().len(), 1, "the first one was there");
    assert_eq!(b.known_events(&ids).await.unwrap(), [true, true]);
}

#[tokio::test]
async fn an_erased_person_does_not_come_back_with_an_interrupted_batch() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, b, ann) = (keyspace.open_as("a").await, keyspace.open_as("b").await, user("ann"));
    a.write(batch(&ann, 1..=2)).await.unwrap();
    break_off(&a, Fault::Committed);
    a.write(batch(&ann, 3..=5)).await.unwrap_err();
    assert!(b.erase_user(&ann).await.unwrap());
    b.take_over("a").await.unwrap();
    assert_eq!(b.user(&ann).await.unwrap(), None);
    assert!(b.history(&ann, 9).await.unwrap().is_empty() && b.session(&ann).await.unwrap().snapshot.is_none());
    assert_eq!(b.known_events(&[event(&ann, 4).id]).await.unwrap(), [true]);
    let mut rows = 0;
    for day in clock::day(b.shared.clock.next()) - 1..=clock::day(b.shared.clock.next()) {
        let to = b.shared.link.get().unwrap();
        rows += b.shared.tail(&to, &ann, &[(day, 0)], 0).await.unwrap().len();
    }
    assert_eq!(rows, 0, "not even rows that no profile names");
    b.write(batch(&ann, 6..=6)).await.unwrap();
    assert_eq!(b.history(&ann, 9).await.unwrap().len(), 1, "whoever was erased may come again");
}

#[tokio::test]
async fn tallies_are_of_their_owner_and_do_not_go_back() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let counted = |order, value: &[u8]| Batch {
        tallies: vec![(TallyKey::All, value.to_vec()), (TallyKey::Surface("tv".into()), value.to_vec())],
        order: Some(order),
        ..Batch::default()
    };
    let rows = |value: &[u8]| vec![(TallyKey::All, value.to_vec()), (TallyKey::Surface("tv".into()), value.to_vec())];
    let b = keyspace.open_as("b").await;
    for reopened in [false, true] {
        let a = keyspace.open_as("a").await;
        for (order, value) in [(4, b"old"), (5, b"new"), (4, b"old")] {
            a.write(counted(order, value)).await.unwrap();
        }
        assert_eq!(tallies(&a).await, (rows(b"new"), 5), "reopened: {reopened}");
        b.write(counted(2, b"other")).await.unwrap();
        assert_eq!(tallies(&b).await, (rows(b"other"), 2));
        let mut foreign = Vec::new();
        let mut visit = |row| {
            foreign.push(row);
            Ok(())
        };
        a.scan_foreign_tallies(&mut visit).await.unwrap();
        foreign.sort();
        assert_eq!(
            foreign,
            rows(b"other").into_iter().map(|(key, value)| ("b".into(), key, value)).collect::<Vec<_>>()
        );
        let mut owners = a.owners().await.unwrap();
        owners.sort();
        assert_eq!(owners, ["a".into(), "b".into()]);
    }
}

#[tokio::test]
async fn tallies_that_are_behind_are_read_and_taken_over() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let counted = |order: u64| Batch {
        tallies: vec![
            (TallyKey::All, order.to_be_bytes().to_vec()),
            (TallyKey::Category(format!("{}", order % 100).into()), order.to_be_bytes().to_vec()),
        ],
        order: Some(order),
        ..Batch::default()
    };
    let last = 3 * KEPT as u64 + 7;
    // Of each category the latest, and of all.
    let mut wanted: Vec<_> = (last - 99..=last)
        .map(|order| (TallyKey::Category(format!("{}", order % 100).into()), order.to_be_bytes().to_vec()))
        .collect();
    wanted.push((TallyKey::All, last.to_be_bytes().to_vec()));
    wanted.sort();
    let a = keyspace.open_as("a").await;
    for order in 1..=last {
        a.write(counted(order)).await.unwrap();
    }
    assert_eq!(tallies(&a).await, (wanted.clone(), last), "while they are behind");
    let reader = keyspace.open_as("a").await;
    assert_eq!(tallies(&reader).await, (wanted.clone(), last), "by another process");
    // The process ends before it has written them.
    drop(a);
    let b = keyspace.open_as("b").await;
    b.take_over("a").await.unwrap();
    assert_eq!(tallies(&reader).await, (wanted, last), "after a take-over");
}

#[tokio::test]
async fn days_are_read_in_order_and_only_those_that_matter() {
    let keyspace = fresh();
    migrate(&keyspace.0).await.unwrap();
    let (a, ann, bob) = (keyspace.open_as("a").await, user("ann"), user("bob"));
    let only = |person: &UserId, seq| Batch { activity: vec![activity(person, seq)], ..Batch::default() };
    for day in 0..4 {
        for seq in 1..=3 {
            a.write(only(&ann, day * 3 + seq)).await.unwrap();
            a.write(only(&bob, day * 3 + seq)).await.unwrap();
        }
        a.shared.clock.saw(a.shared.clock.next() + Duration::from_secs(86_400).as_micros() as i64);
    }
    let numbers = |events: Vec<Activity>| events.into_iter().map(|activity| activity.seq).collect::<Vec<_>>();
    for limit in [1, 3, 4, 12, 100] {
        let newest: Vec<_> = (1..=12).rev().take(limit).collect();
        assert_eq!(numbers(a.history(&ann, limit).await.unwrap()), newest);
    }
    for seq in 0..=12 {
        a.write(Batch { snapshots: vec![(ann.clone(), seq, vec![1])], ..Batch::default() }).await.unwrap();
        assert_eq!(numbers(a.session(&ann).await.unwrap().tail), (seq + 1..=12).collect::<Vec<_>>());
    }
    let mut scanned = Vec::new();
    let mut visit = |activity: Activity| {
        scanned.push(activity.seq);
        Ok(())
    };
    a.scan_activity(&mut visit).await.unwrap();
    assert_eq!(scanned, (1..=12).chain(1..=12).collect::<Vec<_>>());
    assert!(a.erase_user(&ann).await.unwrap());
    assert_eq!(a.user(&ann).await.unwrap(), None);
    assert_eq!(a.history(&bob, 100).await.unwrap().len(), 12);
}
