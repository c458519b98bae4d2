use std::{collections::HashMap, sync::atomic::Ordering::SeqCst, time::Duration};

use foryou_actors::{
    fold::Fold,
    ports::{bus::EventBus, store::FeatureStore},
    services::status::ServiceState,
    sessions::{SessionSettings, state::SessionState},
    statistics::{Count, Entity},
};
use foryou_schemas::{Event, EventId, UserId};
use proptest::prelude::*;

use super::rig::{DEADLINE, Rig, event, user, video, video_id};

/// What a fault test does between events.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// The bus delivers again what is not settled.
    BreakBus,
    StoreAway,
    StoreBack,
    PanicInWrite,
    PanicInLookup,
    PanicInAck,
    /// The same event is published again.
    Repeat,
}

fn log(len: usize) -> impl Strategy<Value = Vec<(Event, Fault)>> {
    let kinds = proptest::sample::select(vec!["impression", "view", "like", "unlike", "follow", "block", "skip"]);
    let fault = prop_oneof![
        12 => Just(Fault::None), 1 => Just(Fault::BreakBus), 1 => Just(Fault::StoreAway), 2 => Just(Fault::StoreBack),
        1 => Just(Fault::PanicInWrite), 1 => Just(Fault::PanicInLookup), 1 => Just(Fault::PanicInAck), 2 => Just(Fault::Repeat),
    ];
    proptest::collection::vec((0_u32..5, 0_u32..40, kinds, fault), 1..len).prop_map(|steps| {
        let steps = (0..).zip(steps);
        steps.map(|(n, (who, video, kind, fault))| (event(n, &user(who), video, kind), fault)).collect()
    })
}

/// Folds the stored activity as it was ordered, and compares with what the node has in memory.
async fn agree(rig: &Rig, events: &[Event]) {
    let mut activity: Vec<_> =
        rig.store.stored.lock().activity.values().flat_map(|all| all.values().cloned()).collect();
    activity.sort_by_key(|a| a.order);
    assert_eq!(activity.len(), events.len(), "each once");
    let orders: Vec<u64> = activity.iter().map(|a| a.order).collect();
    assert_eq!(orders, (1..=events.len() as u64).collect::<Vec<_>>());
    let mut fold = Fold::default();
    fold.live.publish_catalogue(rig.live.catalogue_full().as_ref().clone());
    for stored in &activity {
        // What could be expected is as of the batch in which the event came, and stored.
        let incoming = fold.live.resolve_stored(stored).unwrap();
        let folded = fold.apply_resolved(stored.event.clone(), &incoming);
        assert_eq!((&folded.activity.gained, &folded.activity.lost), (&stored.gained, &stored.lost));
        assert_eq!((folded.activity.seq, folded.activity.order), (stored.seq, stored.order));
    }
    let sessions: HashMap<UserId, SessionState> = std::mem::take(&mut fold.sessions);
    for (who, expected) in sessions {
        assert_eq!(*rig.sessions.view(&who).await.unwrap(), expected);
    }
    let (expected, found) = (fold.live.statistics.read(), rig.live.statistics.read());
    let catalogue = rig.live.catalogue();
    let entities = (0..40).map(Entity::Video).chain((0..7).map(Entity::Creator)).chain([Entity::All]);
    for entity in entities {
        assert_eq!(expected.tally(entity), found.tally(entity), "{entity:?} of {}", catalogue.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However often events are delivered and whatever fails: each is applied once, and memory, statistics and store agree.
    #[test]
    fn each_event_counts_once(log in log(120)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new().await;
            let mut events = Vec::new();
            for (event, fault) in log {
                rig.bus.publish(std::slice::from_ref(&event)).await.unwrap();
                match fault {
                    Fault::None => {}
                    Fault::BreakBus => rig.bus.break_once(),
                    Fault::StoreAway => rig.store.away.store(true, SeqCst),
                    Fault::StoreBack => rig.store.away.store(false, SeqCst),
                    Fault::PanicInWrite => rig.store.panic_once.store(true, SeqCst),
                    Fault::PanicInLookup => rig.store.panic_in_lookup.store(true, SeqCst),
                    Fault::PanicInAck => rig.bus.panic_once(),
                    Fault::Repeat => rig.bus.publish(std::slice::from_ref(&event)).await.unwrap(),
                }
                events.push(event);
                tokio::task::yield_now().await;
            }
            rig.store.away.store(false, SeqCst);
            rig.bus.idle().await;
            agree(&rig, &events).await;
            let stats = rig.ingest.stats();
            assert_eq!(stats.applied, events.len() as u64, "{stats:?}");
            rig.stop().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_event_has_no_effect_even_before_it_is_durable() {
    let rig = Rig::new().await;
    rig.store.open.send_replace(false);
    let like = event(1, &user(1), 1, "like");
    rig.bus.publish(&[like.clone(), like.clone()]).await.unwrap();
    rig.bus.publish(&[like.clone(), event(2, &user(1), 2, "like")]).await.unwrap();
    let token = EventId::new("e2").unwrap();
    assert!(rig.sessions.view_after(&user(1), &token, DEADLINE).await.unwrap().1);
    // Nothing is durable, so nothing is acknowledged.
    assert_eq!(rig.bus.depth().await.unwrap(), 4);
    rig.store.open.send_replace(true);
    rig.bus.idle().await;
    rig.ingest(&[like]).await;
    let (state, stats) = (rig.sessions.view(&user(1)).await.unwrap(), rig.ingest.stats());
    assert_eq!((state.seq, stats.applied, stats.duplicates), (2, 2, 3));
    assert_eq!(rig.live.statistics.read().tally(Entity::All).total(Count::Likes), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_while_the_edge_asks_waits_for_that_answer() {
    let rig = Rig::new().await;
    let (known, new) = (event(1, &user(1), 1, "like"), event(2, &user(1), 2, "like"));
    rig.ingest(std::slice::from_ref(&known)).await;
    let mut lookups = rig.store.lookups.subscribe();
    let before = *lookups.borrow_and_update();
    rig.store.answers.send_replace(false);
    let (ingest, asked) = (rig.ingest.clone(), [known.clone(), new.clone()]);
    let edge = tokio::spawn(async move { ingest.known(&asked.each_ref()).await });
    lookups.wait_for(|n| *n > before).await.unwrap();
    rig.bus.publish(&[known, new]).await.unwrap();
    rig.store.answers.send_replace(true);
    assert_eq!(edge.await.unwrap().unwrap(), [true, false]);
    rig.bus.idle().await;
    assert_eq!((rig.ingest.stats().applied, rig.ingest.stats().duplicates), (2, 1));
    // Only what is known was asked about again.
    assert_eq!(*rig.store.lookups.borrow(), before + 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_gave_up_asking_is_not_waited_for() {
    let rig = Rig::new().await;
    let event = event(1, &user(1), 1, "like");
    rig.store.answers.send_replace(false);
    let (ingest, asked) = (rig.ingest.clone(), event.clone());
    let edge = tokio::spawn(async move { ingest.known(&[&asked]).await });
    rig.store.lookups.subscribe().wait_for(|n| *n == 1).await.unwrap();
    rig.bus.publish(&[event]).await.unwrap();
    edge.abort();
    rig.store.lookups.subscribe().wait_for(|n| *n == 2).await.unwrap();
    rig.store.answers.send_replace(true);
    rig.bus.idle().await;
    assert_eq!(rig.ingest.stats().applied, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_applied_is_put_aside_with_a_reason() {
    let rig = Rig::new().await;
    rig.bus.publish_raw(b"{not json");
    rig.bus.publish_raw(br#"{"user": "u1", "video": "v1", "kind": "like"}"#);
    rig.bus.publish_raw(br#"{"id": "x", "user": "u1", "video": "v1", "kind": "love"}"#);
    rig.bus.publish_raw(br#"{"id": "y", "user": "u1", "video": "nowhere", "kind": "like"}"#);
    rig.ingest(&[event(1, &user(1), 1, "like")]).await;
    let quarantined = rig.bus.quarantined();
    let reasons: Vec<&str> = quarantined.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for part in ["id: is missing", "kind:", "video: nowhere is not in the catalogue"] {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part} in {reasons:?}");
    }
    assert_eq!((rig.ingest.stats().quarantined, rig.ingest.stats().applied), (4, 1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_may_be_ahead_of_its_video() {
    let rig = Rig::new().await;
    rig.bus.publish(&[event(1, &user(1), 100, "like")]).await.unwrap();
    rig.catalogue.put_videos(vec![(video_id(100), video(1, 1))]).await.unwrap();
    rig.bus.idle().await;
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().seq, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_events_wait_and_keep_their_order() {
    let rig = Rig::new().await;
    let events: Vec<_> = (0..200).map(|n| event(n, &user(n % 3), n % 40, "view")).collect();
    rig.store.away.store(true, SeqCst);
    rig.bus.publish(&events[..100]).await.unwrap();
    let noticed = async {
        while rig.supervisor.probe("ingest").unwrap().status().last_error.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, noticed).await.unwrap();
    rig.bus.publish(&events[100..]).await.unwrap();
    rig.store.away.store(false, SeqCst);
    rig.bus.idle().await;
    for who in 0..3 {
        let history = rig.store.history(&user(who), 200).await.unwrap();
        let applied: Vec<_> = history.iter().rev().map(|activity| &activity.event.id).collect();
        let sent: Vec<_> = events.iter().filter(|e| e.user == user(who)).map(|e| &e.id).collect();
        assert_eq!(applied, sent, "person {who}");
    }
    assert_eq!(rig.ingest.stats().deferred, 0, "what is given back loses its place");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_ingest_loses_and_doubles_nothing() {
    let rig = Rig::new().await;
    let before: Vec<Event> = (0..50).map(|n| event(n, &user(n % 5), n % 40, "view")).collect();
    rig.ingest(&before).await;
    // What an incarnation applied and never handed over is discarded: the session is what the store says.
    let unwritten = rig.live.resolve(&event(99, &user(1), 9, "like")).unwrap();
    rig.sessions.apply(&user(1), vec![unwritten], 0).await.unwrap();
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().seq, 11);
    rig.sessions.discard([user(1)]).await;
    rig.store.panic_in_lookup.store(true, SeqCst);
    let more: Vec<Event> = (50..100).map(|n| event(n, &user(n % 5), n % 40, "like")).collect();
    rig.ingest(&more).await;
    let status = rig.supervisor.probe("ingest").unwrap().status();
    assert_eq!((status.state, status.restarts), (ServiceState::Running, 1));
    agree(&rig, &[before, more].concat()).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_again_does_not_bring_an_erased_person_back() {
    let rig = Rig::new().await;
    let before: Vec<Event> = (0..5).map(|n| event(n, &user(1), n, "view")).collect();
    rig.ingest(&before).await;
    assert!(rig.sessions.erase(&user(1)).await.unwrap());
    // As a bus does whose acknowledgements were lost with the power.
    rig.ingest(&before).await;
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().seq, 0);
    assert_eq!((rig.ingest.stats().applied, rig.ingest.stats().duplicates), (5, 5));
    rig.ingest(&[event(9, &user(1), 9, "like")]).await;
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().seq, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_applied_at_once() {
    let settings = SessionSettings::default();
    let rig = Rig::on(super::memory::MemoryStore::new(), Default::default(), settings).await;
    let mut waits = Vec::new();
    for n in 0..200 {
        let event = event(n, &user(n % 10), n % 40, "view");
        let started = std::time::Instant::now();
        rig.bus.publish(std::slice::from_ref(&event)).await.unwrap();
        assert!(rig.sessions.view_after(&event.user, &event.id, DEADLINE).await.unwrap().1);
        waits.push(started.elapsed());
    }
    waits.sort_unstable();
    // Generous: the machine may be busy. Alone it is about 0.1 ms.
    assert!(waits[100] < Duration::from_millis(10), "median {:?}, p99 {:?}", waits[100], waits[198]);
    rig.bus.idle().await;
    rig.stop().await;
}
