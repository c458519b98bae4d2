//! What every feature store does. [`store_contract!`](crate::store_contract) makes a test of each clause.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use foryou_schemas::{Country, CreatorId, FeedId, Gender, Language, Status, Timestamp, User, UserId, Video, VideoId};

use super::{
    Activity, Batch, FeatureStore, Impression, StoreError,
    creators::{Related, Relation, Said, What},
};
pub use crate::ports::contract::Subject;
use crate::{
    ports::contract::{event, instant, user},
    sessions::state::Outcomes,
    statistics::TallyKey,
};

/// Makes one test of each clause, with a fresh [`Subject`] from the given (synchronous) function.
#[macro_export]
macro_rules! store_contract {
    ($fresh:path) => {
        $crate::store_contract!(
            @each $fresh,
            reads_its_writes,
            a_repeated_event_is_a_no_op,
            a_batch_written_twice_is_written_once,
            what_is_absent_is_no_error,
            concurrent_writers_lose_nothing,
            reopening_keeps_everything,
            a_session_is_its_snapshot_and_the_tail,
            a_person_is_new_once,
            videos_keep_every_field,
            erasure_takes_everything_of_one_person_only,
            an_erased_event_does_not_come_back,
            creators_are_kept_as_last_said,
            creators_come_in_pages_newest_first,
            scans_visit_everything_in_order,
            a_visitor_ends_a_scan,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::ports::store::contract::$clause(&$fresh()).await;
        }
    )*};
}

/// What was written is read as it was.
pub async fn reads_its_writes<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let ann = user("ann / ünï ☕");
    store.write(Batch { activity: activities(&ann, 1..=5), ..Batch::default() }).await.unwrap();
    assert_eq!(store.session(&ann).await.unwrap().tail, activities(&ann, 1..=5));
    let newest: Vec<_> = activities(&ann, 4..=5).into_iter().rev().collect();
    assert_eq!(store.history(&ann, 2).await.unwrap(), newest);
    let ids = [event(&ann, 5).id, event(&ann, 6).id, event(&ann, 1).id];
    assert_eq!(store.known_events(&ids).await.unwrap(), [true, false, true]);
}

/// An event is written once, whoever repeats it and under whatever number.
pub async fn a_repeated_event_is_a_no_op<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let ann = user("ann");
    let first = activity(&ann, 1);
    let again = Activity { seq: 2, order: 9, gained: Outcomes::REPORT, ..first.clone() };
    store.write(Batch { activity: vec![first.clone(), again.clone()], ..Batch::default() }).await.unwrap();
    store.write(Batch { activity: vec![again, activity(&ann, 3)], ..Batch::default() }).await.unwrap();
    assert_eq!(store.session(&ann).await.unwrap().tail, [first, activity(&ann, 3)]);
}

/// A writer that is not sure whether a batch was written writes it again.
pub async fn a_batch_written_twice_is_written_once<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let ann = user("ann");
    store.write(everything(&ann)).await.unwrap();
    let once = read_all(&store).await;
    store.write(everything(&ann)).await.unwrap();
    assert_eq!(read_all(&store).await, once);
}

/// Nothing is an answer.
pub async fn what_is_absent_is_no_error<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let nobody = user("nobody");
    let session = store.session(&nobody).await.unwrap();
    assert!(session.snapshot.is_none() && session.profile.is_none() && session.tail.is_empty());
    assert!(store.history(&nobody, 10).await.unwrap().is_empty());
    assert!(store.user(&nobody).await.unwrap().is_none());
    assert!(!store.erase_user(&nobody).await.unwrap());
    assert_eq!(store.known_events(&[event(&nobody, 1).id]).await.unwrap(), [false]);
    assert!(store.known_events(&[]).await.unwrap().is_empty());
    store.write(Batch::default()).await.unwrap();
    assert!(read_all(&store).await.is_empty());
    assert_eq!(store.scan_tallies(&mut |_| Ok(())).await.unwrap(), 0);
}

/// Writers for different people do not disturb each other.
pub async fn concurrent_writers_lose_nothing<S: Subject<Port: FeatureStore>>(subject: &S) {
    const WRITERS: u64 = 16;
    const WRITES: u64 = 25;
    let store = std::sync::Arc::new(subject.open().await);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let person = user(&format!("u{n}"));
            for seq in 1..=WRITES {
                store.write(Batch { activity: activities(&person, seq..=seq), ..Batch::default() }).await.unwrap();
                // Its own write is there at once, whatever the others do.
                assert_eq!(store.history(&person, 1).await.unwrap()[0].seq, seq);
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    for n in 0..WRITERS {
        let person = user(&format!("u{n}"));
        assert_eq!(store.session(&person).await.unwrap().tail, activities(&person, 1..=WRITES));
    }
}

/// What was written outlives the process.
pub async fn reopening_keeps_everything<S: Subject<Port: FeatureStore>>(subject: &S) {
    let ann = user("ann");
    let store = subject.open().await;
    store.write(everything(&ann)).await.unwrap();
    store.put_users(&[(ann.clone(), profile())]).await.unwrap();
    store.put_videos(&[(VideoId::new("v1").unwrap(), video())]).await.unwrap();
    let before = read_all(&store).await;
    drop(store);
    let store = subject.open().await;
    assert_eq!(read_all(&store).await, before);
    assert_eq!(store.known_events(&[event(&ann, 1).id]).await.unwrap(), [true]);
    assert_eq!(store.scan_tallies(&mut |_| Ok(())).await.unwrap(), 3);
}

/// A session: the latest snapshot and the events after it, and the profile.
pub async fn a_session_is_its_snapshot_and_the_tail<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let ann = user("ann");
    store.write(Batch { activity: activities(&ann, 1..=10), ..Batch::default() }).await.unwrap();
    store.put_users(&[(ann.clone(), profile())]).await.unwrap();
    for seq in [4, 10] {
        let snapshots = vec![(ann.clone(), seq, vec![seq as u8; 3])];
        store.write(Batch { snapshots, ..Batch::default() }).await.unwrap();
        let session = store.session(&ann).await.unwrap();
        assert_eq!(session.snapshot, Some(vec![seq as u8; 3]));
        assert_eq!(session.profile, Some(profile()));
        assert_eq!(session.tail, activities(&ann, seq + 1..=10));
    }
    assert_eq!(store.history(&ann, 100).await.unwrap().len(), 10, "a snapshot takes nothing from the history");
}

/// Of each creator what was said last by an event that was new; a block outweighs. The session comes with the same.
pub async fn creators_are_kept_as_last_said<S: Subject<Port: FeatureStore>>(subject: &S) {
    use Relation::{Block, Follow};
    let store = subject.open().await;
    let (ann, bob) = (user("ann"), user("bob"));
    let batch = |numbers: std::ops::RangeInclusive<u64>, creators: &[Said]| Batch {
        activity: activities(&ann, numbers),
        creators: creators.to_vec(),
        ..Batch::default()
    };
    // What is said twice in one batch, across batches, and taken back.
    let first = batch(
        1..=4,
        &[
            said(&ann, "a", What::Follow, 1),
            said(&ann, "b", What::Follow, 2),
            said(&ann, "a", What::Unfollow, 3),
            said(&ann, "ü c", What::Follow, 4),
        ],
    );
    store.write(first.clone()).await.unwrap();
    let second = batch(
        5..=7,
        &[said(&ann, "a", What::Follow, 5), said(&ann, "b", What::Block, 6), said(&ann, "ü c", What::Unfollow, 7)],
    );
    store.write(second).await.unwrap();
    // Again, as after a crash: every event of it is known.
    store.write(first).await.unwrap();
    let other = Said { event: None, ..said(&bob, "a", What::Follow, 9) };
    store.write(Batch { creators: vec![other], ..Batch::default() }).await.unwrap();
    let expected = [("b", Block, instant(6)), ("a", Follow, instant(5))];
    assert_eq!(stands(&store.creators(&ann, None, 9).await.unwrap()), expected);
    assert_eq!(stands(&store.creators(&bob, None, 9).await.unwrap()), [("a", Follow, instant(9))]);
    assert!(store.creators(&user("ann2"), None, 9).await.unwrap().is_empty());
    drop(store);
    let store = subject.open().await;
    // A follow after the block is no way around it.
    store.write(batch(8..=8, &[said(&ann, "b", What::Follow, 8)])).await.unwrap();
    assert_eq!(stands(&store.creators(&ann, None, 9).await.unwrap()), expected);
    let mut session = store.session(&ann).await.unwrap().creators;
    session.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<&str> = session.iter().map(|(creator, _)| creator.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(session[0].1.relation(), Some((Follow, instant(5))));
    assert_eq!(session[1].1.blocked, Some(instant(6)));
    assert!(store.erase_user(&ann).await.unwrap());
    assert!(store.creators(&ann, None, 9).await.unwrap().is_empty());
    assert!(store.session(&ann).await.unwrap().creators.is_empty());
    assert_eq!(store.creators(&bob, None, 9).await.unwrap().len(), 1);
}

/// Page after page, each creator once, the newest first.
pub async fn creators_come_in_pages_newest_first<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let ann = user("ann");
    let name = |n: u64| format!("c{}", n * 7 % 25);
    // Two of each time.
    let creators =
        (0..25).map(|n| Said { at: instant(n / 2), event: None, ..said(&ann, &name(n), What::Follow, n) }).collect();
    store.write(Batch { creators, ..Batch::default() }).await.unwrap();
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.creators(&ann, before.as_ref(), 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        before = Some((last.since, last.creator.clone()));
        all.extend(page);
    }
    assert!(all.is_sorted_by(|a, b| (b.since, &a.creator) < (a.since, &b.creator)), "{all:?}");
    let mut names: Vec<_> = all.into_iter().map(|related| related.creator).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 25);
}

/// A person is new until a profile or an event is there.
pub async fn a_person_is_new_once<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let (ann, bob) = (user("ann"), user("bob"));
    store.write(Batch { activity: vec![activity(&bob, 1)], ..Batch::default() }).await.unwrap();
    assert_eq!(store.user(&bob).await.unwrap(), Some(User::default()));
    let both = [(ann.clone(), profile()), (bob.clone(), profile()), (ann.clone(), User::default())];
    assert_eq!(store.put_users(&both).await.unwrap(), [true, false, false]);
    assert_eq!(store.user(&ann).await.unwrap(), Some(User::default()), "the later of two profiles counts");
    assert_eq!(store.user(&bob).await.unwrap(), Some(profile()));
    assert_eq!(store.put_users(&[(ann.clone(), profile())]).await.unwrap(), [false]);
    assert_eq!(store.user(&ann).await.unwrap(), Some(profile()));
}

/// A video is kept whole, and replaced by a later one of the same id.
pub async fn videos_keep_every_field<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let bare = Video {
        published_at: None,
        tags: Vec::new(),
        title: None,
        language: None,
        country: None,
        age_rating: 0,
        status: Status::Live,
        ..video()
    };
    let (a, b) = (VideoId::new("a").unwrap(), VideoId::new("b").unwrap());
    store.put_videos(&[(a.clone(), bare.clone()), (b.clone(), video())]).await.unwrap();
    assert_eq!(videos(&store).await, [(a.clone(), bare), (b.clone(), video())]);
    store.put_videos(&[(a.clone(), video())]).await.unwrap();
    assert_eq!(videos(&store).await, [(a, video()), (b, video())]);
}

/// Nothing of the person is left, and others, however alike their ids, keep everything.
pub async fn erasure_takes_everything_of_one_person_only<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let people = ["u", "u1", "u 1", "ü", "U"].map(user);
    for person in &people {
        store.write(everything(person)).await.unwrap();
    }
    let profiles = people.clone().map(|person| (person, profile()));
    store.put_users(&profiles).await.unwrap();
    assert!(store.erase_user(&people[0]).await.unwrap());
    assert!(!store.erase_user(&people[0]).await.unwrap());
    for (n, person) in people.iter().enumerate() {
        let kept = n > 0;
        let session = store.session(person).await.unwrap();
        assert_eq!((session.snapshot.is_some(), session.profile.is_some()), (kept, kept), "{person}");
        assert_eq!(store.history(person, 9).await.unwrap().len(), if kept { 3 } else { 0 }, "{person}");
        assert_eq!(store.user(person).await.unwrap().is_some(), kept);
    }
    let mut left = Vec::new();
    let mut visit = |impression: Impression| {
        left.push(impression.user);
        Ok(())
    };
    store.scan_impressions(&mut visit).await.unwrap();
    assert!(!left.contains(&people[0]) && people[1..].iter().all(|person| left.contains(person)));
    store.write(Batch { activity: vec![activity(&people[0], 4)], ..Batch::default() }).await.unwrap();
    assert_eq!(store.history(&people[0], 9).await.unwrap().len(), 1, "whoever was erased may come again");
}

/// An event that was erased stays known: delivered again, also after a restart, it has no effect.
pub async fn an_erased_event_does_not_come_back<S: Subject<Port: FeatureStore>>(subject: &S) {
    let ann = user("ann");
    let mut store = subject.open().await;
    store.write(everything(&ann)).await.unwrap();
    store.erase_user(&ann).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.known_events(&[event(&ann, 1).id, event(&ann, 4).id]).await.unwrap(), [true, false]);
        store.write(Batch { activity: activities(&ann, 1..=3), ..Batch::default() }).await.unwrap();
        assert_eq!((store.user(&ann).await.unwrap(), store.history(&ann, 9).await.unwrap().len()), (None, 0));
        drop(store);
        store = subject.open().await;
    }
}

/// Scans visit each row once, those of a person together and in their order.
pub async fn scans_visit_everything_in_order<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    let (ann, bob) = (user("ann"), user("bob"));
    // Interleaved, and more of them than fit a byte.
    for seq in 1..=300 {
        let activity = [&ann, &bob].map(|person| activity(person, seq)).to_vec();
        let impressions = [&bob, &ann].map(|person| impression(person, 301 - seq)).to_vec();
        store.write(Batch { activity, impressions, ..Batch::default() }).await.unwrap();
    }
    let (mut acted, mut served) = (Vec::new(), Vec::new());
    let mut visit = |activity: Activity| {
        acted.push(activity);
        Ok(())
    };
    store.scan_activity(&mut visit).await.unwrap();
    let mut visit = |impression: Impression| {
        served.push(impression);
        Ok(())
    };
    store.scan_impressions(&mut visit).await.unwrap();
    assert_eq!((acted.len(), served.len()), (600, 600));
    for rows in acted.chunks(300) {
        assert_eq!(rows, activities(&rows[0].event.user, 1..=300));
    }
    for rows in served.chunks(300) {
        let person = &rows[0].user;
        assert!(rows.iter().zip(1..).all(|(row, n)| *row == impression(person, n)));
    }
}

/// An error of the visitor ends a scan, which returns it.
pub async fn a_visitor_ends_a_scan<S: Subject<Port: FeatureStore>>(subject: &S) {
    let store = subject.open().await;
    store.write(Batch { activity: activities(&user("ann"), 1..=5), ..Batch::default() }).await.unwrap();
    let mut visits = 0;
    let mut visit = |_| {
        visits += 1;
        if visits == 2 { Err(StoreError::Corrupt("enough".into())) } else { Ok(()) }
    };
    let ended = store.scan_activity(&mut visit).await.unwrap_err();
    assert!(ended.to_string().contains("enough"));
    assert_eq!(visits, 2);
}

fn activity(person: &UserId, seq: u64) -> Activity {
    let mut event = event(person, seq);
    event.feed = seq.is_multiple_of(3).then(|| FeedId::new("f1").unwrap());
    event.position = event.feed.is_some().then_some(seq as u32);
    Activity {
        event,
        seq,
        order: seq * 2,
        gained: Outcomes::VIEW.with(Outcomes::OPENED),
        lost: Outcomes::LIKE,
        expected: crate::statistics::Expected::default(),
    }
}

fn activities(person: &UserId, numbers: std::ops::RangeInclusive<u64>) -> Vec<Activity> {
    numbers.map(|seq| activity(person, seq)).collect()
}

fn impression(person: &UserId, n: u64) -> Impression {
    let feed = FeedId::new(format!("f{n}")).unwrap();
    Impression { user: person.clone(), at: instant(n), feed, record: vec![n as u8; 20] }
}

fn said(person: &UserId, creator: &str, what: What, n: u64) -> Said {
    let event = Some(event(person, n).id);
    Said { user: person.clone(), creator: CreatorId::new(creator).unwrap(), what, at: instant(n), event }
}

fn stands(creators: &[Related]) -> Vec<(&str, Relation, Timestamp)> {
    creators.iter().map(|related| (related.creator.as_str(), related.relation, related.since)).collect()
}

/// Some of everything that a batch holds.
fn everything(person: &UserId) -> Batch {
    Batch {
        activity: activities(person, 1..=3),
        snapshots: vec![(person.clone(), 2, b"snapshot".to_vec())],
        tallies: vec![
            (TallyKey::All, b"all".to_vec()),
            (TallyKey::Video("v1".into()), b"v1".to_vec()),
            (TallyKey::Creator("v1".into()), b"c1".to_vec()),
            (TallyKey::Country("DE".into(), "v1".into()), b"DE v1".to_vec()),
        ],
        order: Some(3),
        impressions: vec![impression(person, 1), impression(person, 2)],
        creators: vec![said(person, "c1", What::Follow, 3)],
    }
}

fn profile() -> User {
    User {
        age: Some(30),
        country: Some(Country::parse("DE").unwrap()),
        gender: Some(Gender::Other),
        language: Some(Language::parse("pt-BR").unwrap()),
        registered_at: Some(instant(0)),
    }
}

fn video() -> Video {
    Video {
        creator: CreatorId::new("c1").unwrap(),
        category: "music & dance".into(),
        duration_ms: 12_345,
        published_at: Some(instant(7)),
        tags: vec!["a".into(), "ü".into()],
        title: Some("A title,\nof two lines".into()),
        language: Some(Language::parse("de").unwrap()),
        country: Some(Country::parse("FR").unwrap()),
        age_rating: 16,
        status: Status::Removed,
    }
}

async fn videos(store: &impl FeatureStore) -> Vec<(VideoId, Video)> {
    let mut videos = Vec::new();
    let mut visit = |video| {
        videos.push(video);
        Ok(())
    };
    store.scan_videos(&mut visit).await.unwrap();
    videos.sort_by(|a, b| a.0.cmp(&b.0));
    videos
}

/// Everything that the scans find, sorted, for comparison.
async fn read_all(store: &impl FeatureStore) -> Vec<String> {
    fn note<T: std::fmt::Debug>(rows: &mut Vec<String>, row: &T) -> Result<(), StoreError> {
        rows.push(format!("{row:?}"));
        Ok(())
    }
    let mut rows = Vec::new();
    store.scan_activity(&mut |row| note(&mut rows, &row)).await.unwrap();
    store.scan_users(&mut |row| note(&mut rows, &row)).await.unwrap();
    store.scan_videos(&mut |row| note(&mut rows, &row)).await.unwrap();
    store.scan_tallies(&mut |row| note(&mut rows, &row)).await.unwrap();
    store.scan_impressions(&mut |row| note(&mut rows, &row)).await.unwrap();
    rows.sort();
    rows
}
