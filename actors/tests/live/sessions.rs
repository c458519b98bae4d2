use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use foryou_actors::{
    fold::Fold,
    ports::store::{FeatureStore, StoredSession},
    sessions::{
        SessionError, SessionSettings,
        snapshot::{decode, encode, rebuild},
        state::SessionState,
    },
};
use foryou_schemas::{Event, EventId, Timestamp, User};
use proptest::prelude::*;

use super::{
    memory::MemoryStore,
    rig::{DEADLINE, Rig, START_MS, event, user},
};

const KINDS: [&str; 10] =
    ["impression", "view", "finish", "like", "unlike", "follow", "unfollow", "block", "report", "skip"];

/// Steps of a test: an event, a served feed, or a nap.
#[derive(Debug, Clone)]
enum Step {
    Event { user: u32, video: u32, kind: usize },
    Serve { user: u32, video: u32 },
    Sleep { user: u32 },
}

fn steps(events: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u32..3, 0_u32..40, 0..KINDS.len()).prop_map(|(user, video, kind)| Step::Event { user, video, kind }),
        1 => (0_u32..3, 0_u32..40).prop_map(|(user, video)| Step::Serve { user, video }),
        1 => (0_u32..3).prop_map(|user| Step::Sleep { user }),
    ];
    proptest::collection::vec(step, events)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sessions that sleep and wake at any point, and keep what they were served, equal sessions that never sleep; and they
    /// equal the fold without actors.
    #[test]
    fn sleeping_changes_nothing(steps in steps(1..150)) {
        runtime().block_on(async {
            let settings = SessionSettings { snapshot_every: 7, ..SessionSettings::default() };
            let rig = Rig::on(MemoryStore::new(), Arc::default(), settings).await;
            let mut fold = Fold::new(rig.live.clone());
            let orders = rig.live.statistics.read().order();
            let mut n = 0;
            for step in steps {
                match step {
                    Step::Event { user: who, video, kind } => {
                        n += 1;
                        let event = event(n, &user(who), video, KINDS[kind]);
                        let incoming = rig.live.resolve(&event).unwrap();
                        fold.sessions.entry(user(who)).or_default().apply(&incoming);
                        rig.ingest(&[event]).await;
                    }
                    Step::Serve { user: who, video } => {
                        let at = Timestamp::from_millis(START_MS).unwrap();
                        rig.sessions.served(&user(who), vec![video, (video + 1) % 40], at);
                        let session = fold.sessions.entry(user(who)).or_default();
                        session.note_served(&[video, (video + 1) % 40], (START_MS / 1_000) as u32);
                    }
                    Step::Sleep { user: who } => {
                        let resident = rig.sessions.stats().resident;
                        let slept = rig.sessions.sleep(&user(who)).await;
                        assert_eq!(rig.sessions.stats().resident, resident - usize::from(slept));
                    }
                }
            }
            for (who, expected) in &fold.sessions {
                assert_eq!(&*rig.sessions.view(who).await.unwrap(), expected);
            }
            assert_eq!(rig.live.statistics.read().order(), orders + u64::from(n));
            // A whole node that stops and starts again continues with the same sessions and statistics.
            let all = rig.live.statistics.read().tally(foryou_actors::statistics::Entity::All);
            let (store, bus) = rig.stop().await;
            let rig = Rig::on(store, bus, settings).await;
            for (who, expected) in &fold.sessions {
                assert_eq!(&*rig.sessions.view(who).await.unwrap(), expected);
            }
            assert_eq!(rig.live.statistics.read().tally(foryou_actors::statistics::Entity::All), all);
            assert_eq!(rig.live.statistics.read().order(), u64::from(n));
            rig.stop().await;
        });
    }

    /// Bytes and back, through a catalogue with other numbers.
    #[test]
    fn a_snapshot_is_lossless(steps in steps(0..400)) {
        runtime().block_on(async {
            let rig = Rig::new().await;
            let mut states: HashMap<u32, SessionState> = HashMap::new();
            for (n, step) in (0..).zip(steps) {
                match step {
                    Step::Event { user: who, video, kind } => {
                        let incoming = rig.live.resolve(&event(n, &user(who), video, KINDS[kind])).unwrap();
                        states.entry(who).or_default().apply(&incoming);
                    }
                    Step::Serve { user, video } => states.entry(user).or_default().note_served(&[video], n),
                    Step::Sleep { .. } => {}
                }
            }
            let catalogue = rig.live.catalogue_full();
            let mut other = foryou_actors::catalogue::Catalogue::default();
            for number in (0..40).rev() {
                let (id, video) = (catalogue.id(number).unwrap(), catalogue.video(number).unwrap());
                other.put(id, (**video).clone(), Timestamp::now());
            }
            for state in states.values() {
                // Those have a table.
                let mut state = state.clone();
                (state.followed, state.blocked) = Default::default();
                let state = &state;
                let bytes = encode(state, &catalogue);
                assert_eq!(&decode(&bytes, &catalogue).unwrap(), state);
                let elsewhere = decode(&bytes, &other).unwrap();
                assert_eq!(&decode(&encode(&elsewhere, &other), &catalogue).unwrap(), state);
            }
            rig.stop().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_leaves_out_what_is_unknown_and_refuses_what_is_broken() {
    let rig = Rig::new().await;
    let mut state = SessionState::default();
    state.apply(&rig.live.resolve(&event(1, &user(1), 3, "follow")).unwrap());
    let bytes = encode(&state, &rig.live.catalogue_full());
    let empty = decode(&bytes, &Default::default()).unwrap();
    assert_eq!((empty.seq, empty.actions.len(), empty.creators.rows.len()), (1, 0, 0));
    for broken in [&bytes[..bytes.len() - 9], &[], &[9, 9]] {
        let stored = StoredSession { snapshot: Some(broken.to_vec()), ..StoredSession::default() };
        let error = rebuild(&user(1), &stored, &rig.live).err().unwrap().to_string();
        assert!(error.contains("snapshot"), "{error}");
    }
    rig.stop().await;
}

/// A tail whose video is unknown still counts, so that no number is given twice.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_after_an_event_that_cannot_be_replayed() {
    let rig = Rig::new().await;
    rig.ingest(&[event(1, &user(1), 1, "like"), event(2, &user(1), 2, "like")]).await;
    let mut stored = rig.store.session(&user(1)).await.unwrap();
    stored.tail[1].event.video = foryou_schemas::VideoId::new("gone").unwrap();
    assert_eq!(rebuild(&user(1), &stored, &rig.live).unwrap().state.seq, 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_waits_for_its_event_before_it_is_durable() {
    let rig = Rig::new().await;
    let token = |n: u32| EventId::new(format!("e{n}")).unwrap();
    rig.store.open.send_replace(false);
    let later = {
        let (sessions, token) = (rig.sessions.clone(), token(1));
        tokio::spawn(async move { sessions.view_after(&user(1), &token, DEADLINE).await })
    };
    rig.bus.publish_raw(&serde_json::to_vec(&event(1, &user(1), 1, "like")).unwrap());
    let (state, applied) = later.await.unwrap().unwrap();
    assert!(applied && state.seq == 1 && rig.store.stored.lock().events.is_empty());
    rig.store.open.send_replace(true);
    rig.bus.idle().await;
    // One that never comes: the state as it is, after the wait.
    let (state, applied) = rig.sessions.view_after(&user(1), &token(99), Duration::from_millis(30)).await.unwrap();
    assert!(!applied && state.seq == 1);
    // One that is long forgotten by the session is found in the store.
    let many: Vec<Event> = (2..40).map(|n| event(n, &user(1), n % 40, "view")).collect();
    rig.ingest(&many).await;
    let (state, applied) = rig.sessions.view_after(&user(1), &token(1), DEADLINE).await.unwrap();
    assert!(applied && state.seq == 39 && !state.applied_lately(foryou_actors::sessions::state::event_hash("e1")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_cancels_sleep_and_nothing_sleeps_before_it_is_durable() {
    let rig = Rig::new().await;
    rig.ingest(&[event(1, &user(1), 1, "like")]).await;
    rig.store.open.send_replace(false);
    let mut attempts = rig.store.attempts.subscribe();
    attempts.mark_unchanged();
    let falling = {
        let sessions = rig.sessions.clone();
        tokio::spawn(async move { sessions.sleep(&user(1)).await })
    };
    attempts.changed().await.unwrap();
    // The snapshot is on its way and the session is still here.
    assert_eq!((rig.sessions.stats().resident, rig.sessions.view(&user(1)).await.unwrap().seq), (1, 1));
    rig.store.open.send_replace(true);
    assert!(!falling.await.unwrap(), "it was touched meanwhile");
    assert!(rig.sessions.sleep(&user(1)).await);
    let stats = rig.sessions.stats();
    assert_eq!((stats.resident, stats.bytes, stats.slept), (0, 0, 1));
    assert_eq!(rig.store.stored.lock().snapshots[&user(1)].0, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_surplus_sessions_are_swept() {
    let settings = SessionSettings {
        sweep_every: Duration::from_secs(3_600),
        idle: Duration::from_secs(3_600),
        ..SessionSettings::default()
    };
    let rig = Rig::on(MemoryStore::new(), Arc::default(), settings).await;
    for n in 0..100 {
        rig.sessions.view(&user(n)).await.unwrap();
    }
    assert_eq!(rig.sessions.sweep().await, 0);
    let (store, bus) = rig.stop().await;
    let half = foryou_actors::sessions::SessionSettings { budget_bytes: 100_000, ..settings };
    let rig = Rig::on(store.clone(), bus.clone(), half).await;
    for n in 0..100 {
        rig.sessions.view(&user(n)).await.unwrap();
    }
    let before = rig.sessions.stats();
    assert!(before.bytes > 100_000);
    let slept = rig.sessions.sweep().await;
    let after = rig.sessions.stats();
    assert!(after.bytes <= 100_000 && after.resident == 100 - slept && after.resident > 20, "{before:?} {after:?}");
    rig.stop().await;
    let rig = Rig::on(store, bus, SessionSettings { idle: Duration::ZERO, ..settings }).await;
    rig.sessions.view(&user(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(rig.sessions.sweep().await, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_load_is_told_and_tried_again() {
    let rig = Rig::new().await;
    rig.store.away.store(true, SeqCst);
    for n in 0..200 {
        let error = rig.sessions.view(&user(n)).await.unwrap_err();
        assert!(matches!(error, SessionError::Unavailable(_)), "{error}");
    }
    // Each once: an actor that fails at once still meets the message that it was made for.
    assert_eq!(rig.sessions.stats().load_failures, 200);
    rig.store.away.store(false, SeqCst);
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().seq, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_loaded_and_followed() {
    let rig = Rig::new().await;
    let told = |age: u8| User { age: Some(age), ..User::default() };
    rig.store.put_users(&[(user(1), told(20))]).await.unwrap();
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().profile.age, Some(20));
    rig.sessions.set_profile(&user(1), &told(21)).await.unwrap();
    assert_eq!(rig.sessions.view(&user(1)).await.unwrap().profile.age, Some(21));
    rig.sessions.set_profile(&user(2), &told(21)).await.unwrap();
    assert_eq!(rig.sessions.stats().resident, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_does_not_come_back() {
    let rig = Rig::new().await;
    rig.ingest(&[event(1, &user(1), 1, "like")]).await;
    rig.bus.publish_raw(&serde_json::to_vec(&event(2, &user(1), 2, "like")).unwrap());
    let token = EventId::new("e2").unwrap();
    assert!(rig.sessions.view_after(&user(1), &token, DEADLINE).await.unwrap().1);
    assert!(rig.sessions.erase(&user(1)).await.unwrap());
    rig.bus.idle().await;
    assert_eq!(*rig.sessions.view(&user(1)).await.unwrap(), SessionState::default());
    let stored = rig.store.session(&user(1)).await.unwrap();
    assert!(stored.tail.is_empty() && stored.snapshot.is_none());
    assert!(!rig.sessions.erase(&user(1)).await.unwrap());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_of_many_sessions_while_they_sleep() {
    let rig = Arc::new(Rig::new().await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u32 {
        let rig = rig.clone();
        callers.spawn(async move {
            for n in 0..200 {
                let who = user((n * 7 + caller) % 20);
                match n % 4 {
                    0 => _ = rig.sessions.sleep(&who).await,
                    1 => rig.sessions.served(&who, vec![1], Timestamp::now()),
                    _ => _ = rig.sessions.view(&who).await.unwrap(),
                }
            }
        });
    }
    callers.join_all().await;
    let mut served = 0;
    for n in 0..20 {
        served += rig.sessions.view(&user(n)).await.unwrap().served.len();
    }
    // No message is lost between a session and its successor.
    assert_eq!(served, 8 * 50);
    assert_eq!(rig.sessions.stats().crashed, 0);
    Arc::into_inner(rig).unwrap().stop().await;
}

/// A store from before there was a table of creators: who wakes has their own written there.
#[tokio::test(flavor = "multi_thread")]
async fn who_wakes_brings_the_table_of_creators_up_to_date() {
    let rig = Rig::new().await;
    rig.ingest(&[event(1, &user(1), 1, "follow"), event(2, &user(1), 2, "block")]).await;
    let before = rig.store.creators(&user(1), None, 9).await.unwrap();
    assert_eq!(before.len(), 2);
    rig.store.stored.lock().creators.clear();
    rig.sessions.discard([user(1)]).await;
    let peeked = rig.sessions.peek(&user(1)).await.unwrap();
    assert_eq!((peeked.followed.len(), peeked.blocked.len()), (1, 1));
    assert!(rig.store.stored.lock().creators.is_empty(), "whoever does not hold the session writes nothing");
    let state = rig.sessions.view(&user(1)).await.unwrap();
    assert_eq!((&state.followed, &state.blocked), (&peeked.followed, &peeked.blocked));
    let untold = rig.writer.flush();
    untold.await.unwrap();
    let after = rig.store.creators(&user(1), None, 9).await.unwrap();
    let named = |list: &[foryou_actors::ports::store::creators::Related]| {
        let mut named: Vec<_> = list.iter().map(|related| (related.creator.clone(), related.relation)).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    };
    assert_eq!(named(&after), named(&before));
    rig.stop().await;
}
