//! Imports from small folders and from the bundled data.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use foryou_actors::{
    ports::store::{Activity, FeatureStore, StoredSession},
    statistics::TallyKey,
};
use foryou_schemas::{Event, EventId, Gender, Kind, Timestamp, User, UserId, Video, VideoId};

use super::{report::Place, sink::Chunk, *};
use crate::stores::embedded::EmbeddedStore;

const NOW: &str = "2026-11-24T10:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// An embedded store in a folder of its own.
struct Store {
    store: EmbeddedStore,
    _dir: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: EmbeddedStore::open(dir.path()).unwrap(), _dir: dir }
    }
    async fn videos(&self) -> BTreeMap<String, Video> {
        let mut all = BTreeMap::new();
        let visit = &mut |(id, video): (VideoId, Video)| {
            all.insert(id.to_string(), video);
            Ok(())
        };
        self.store.scan_videos(visit).await.unwrap();
        all
    }
    async fn tallies(&self) -> BTreeMap<TallyKey, Vec<u8>> {
        let mut all = BTreeMap::new();
        let visit = &mut |(key, bytes)| {
            all.insert(key, bytes);
            Ok(())
        };
        self.store.scan_tallies(visit).await.unwrap();
        all
    }
    async fn activity(&self) -> Vec<Activity> {
        let mut all = Vec::new();
        let visit = &mut |activity| {
            all.push(activity);
            Ok(())
        };
        self.store.scan_activity(visit).await.unwrap();
        all
    }
    async fn user(&self, id: &str) -> User {
        self.store.user(&UserId::new(id).unwrap()).await.unwrap().unwrap()
    }
    async fn session(&self, id: &str) -> StoredSession {
        self.store.session(&UserId::new(id).unwrap()).await.unwrap()
    }
}

async fn import(source: Source, store: &Store) -> Summary {
    Summary { seconds: 0.0, ..run(source, &store.store, now(), Duration::ZERO).await.unwrap() }
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

async fn kinds(store: &Store, user: &str) -> Vec<(String, Kind, Option<u32>)> {
    let mut history = store.store.history(&UserId::new(user).unwrap(), 100).await.unwrap();
    history.reverse();
    history.into_iter().map(|a| (a.event.video.to_string(), a.event.kind, a.event.watch_ms)).collect()
}

const LOG_HEADER: &str = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n";

fn official(rows: &str) -> tempfile::TempDir {
    let log = format!("{LOG_HEADER}{rows}");
    folder(&[
        ("data/log_standard_4_22_to_5_08_pure.csv", log.as_bytes()),
        ("data/user_features_pure.csv", b"user_id,x,register_days\n7,\"[1,2)\",10\n8,b,many\n9,b,\n"),
        (
            "data/video_features_basic_pure.csv",
            b"video_id,author_id,video_type,upload_dt,video_duration,tag\n1,4,NORMAL,2022-04-10,20000.0,\"39,68\"\n2,5,NORMAL,2022-04-10,,\n3,5,NORMAL,2022-04-10,,1\n",
        ),
    ])
}

#[tokio::test]
async fn the_official_log_becomes_views_and_reactions() {
    let dir = official(
        "7,1,20220425,0,1650900000000,1,1,1,1,1,1,1,19000,20000,0,0,0,0,1\n\
         7,2,20220425,0,1650800000000,0,0,0,0,0,0,0,0,0,0,0,0,0,4\n\
         7,3,20220425,0,1650850000000,0,0,0,0,0,0,0,1500,30000,0,0,0,0,4\n\
         7,1,20220425,0,1650900000000,1,1,1,1,1,1,1,19000,20000,0,0,0,0,1\n\
         7,99,20220425,0,1650900000000,1,0,0,0,0,0,1,19000,20000,0,0,0,0,1\n\
         7,1,20220425,0,soon,1,0,0,0,0,0,1,19000,20000,0,0,0,0,1\n\
         7,1,20220425\n",
    );
    let (store, source) = (Store::new(), Source::Kuairand(dir.path().into()));
    let done = import(source.clone(), &store).await;
    assert_eq!(done, Summary { users: 2, videos: 3, events: 8, known: 0, skipped: 4, seconds: 0.0 });
    use Kind::*;
    let told: Vec<_> = kinds(&store, "7").await;
    let told: Vec<_> = told.iter().map(|(v, k, w)| (v.as_str(), *k, *w)).collect();
    assert_eq!(
        told,
        [
            ("2", Impression, None),
            ("3", View, Some(1500)),
            ("1", View, Some(19_000)),
            ("1", Like, None),
            ("1", Follow, None),
            ("1", Comment, None),
            ("1", Share, None),
            ("1", Dislike, None),
        ]
    );
    let last = &store.store.history(&UserId::new("7").unwrap(), 1).await.unwrap()[0].event;
    assert_eq!((last.id.as_str(), last.surface.as_deref()), ("kr-7-1-1650900000000-d", Some("1")));
    let videos = store.videos().await;
    let video = |id: &str| &videos[id];
    assert_eq!((&*video("1").category, video("1").tags.len(), video("1").duration_ms), ("39", 2, 20_000));
    assert_eq!(video("1").published_at.unwrap().to_string(), "2022-04-09T16:00:00.000Z");
    assert_eq!((&*video("2").category, video("2").duration_ms), ("unknown", kuairand::PICTURE_DURATION_MS));
    assert_eq!(video("3").duration_ms, 30_000);
    let user = store.user("7").await;
    assert_eq!(user.registered_at.unwrap().to_string(), "2022-04-27T16:00:00.000Z");
    // Again: nothing changes, and the statistics neither.
    let before = store.tallies().await;
    let again = import(source, &store).await;
    assert_eq!(again, Summary { events: 0, known: 8, ..done });
    assert_eq!(before, store.tallies().await);
}

#[tokio::test]
async fn an_interrupted_import_continues_to_the_same_end() {
    let rows: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "{},{},0,0,{},1,{},0,0,0,0,1,{},20000,0,0,0,0,1\n",
                7 + n % 3,
                1 + n % 2,
                1650900000000i64 + 700_000 * n,
                n % 2,
                900 * n
            )
        })
        .collect();
    let (half, whole) = (official(&rows[..30].concat()), official(&rows.concat()));
    let (once, twice) = (Store::new(), Store::new());
    import(Source::Kuairand(whole.path().into()), &once).await;
    import(Source::Kuairand(half.path().into()), &twice).await;
    import(Source::Kuairand(whole.path().into()), &twice).await;
    assert_eq!(once.tallies().await, twice.tallies().await);
    assert_eq!(once.activity().await, twice.activity().await);
    for user in ["7", "8", "9"] {
        assert_eq!(once.session(user).await.snapshot, twice.session(user).await.snapshot);
    }
}

#[tokio::test]
async fn sessions_that_sleep_between_chunks_come_to_the_same_end() {
    let (awake, asleep) = (Store::new(), Store::new());
    for (store, max_sessions) in [(&awake, usize::MAX), (&asleep, 1)] {
        let end = now().plus_millis(8 * 9_000_000);
        let mut writer = Writer::open(&store.store, Arc::new(Report::new()), end).await.unwrap();
        writer.max_sessions = max_sessions;
        let video = Video::parse(br#"{"creator": "c", "category": "x", "duration_ms": 9000}"#).unwrap();
        writer.take(Chunk::Videos(vec![(VideoId::new("v").unwrap(), video)])).await.unwrap();
        for chunk in 0..8 {
            let event = |n: i64| {
                let user = n % 3;
                let json = format!(
                    r#"{{"id": "e-{chunk}-{n}", "user": "u{user}", "video": "v", "kind": "view", "watch_ms": 700}}"#
                );
                let at = now().plus_millis(chunk * 9_000_000 + n);
                let event = Event::parse(json.as_bytes(), at, || EventId::from_u128(0)).unwrap();
                (event, Place { file: 0, line: 1 })
            };
            writer.take(Chunk::Events((0..9).map(event).collect())).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap().events, 72);
    }
    assert_eq!(awake.activity().await, asleep.activity().await);
    assert_eq!(awake.tallies().await, asleep.tallies().await);
    for user in ["u0", "u1", "u2"] {
        assert_eq!(awake.session(user).await.snapshot, asleep.session(user).await.snapshot);
    }
}

#[tokio::test]
async fn movielens_1m_keeps_people_and_maps_ratings() {
    let dir = folder(&[
        ("users.dat", b"1::F::1::10::48067\n2::M::56::16::70072\n3::X::25::1::1\n"),
        ("movies.dat", b"1::Caf\xe9 Society (1995)::Comedy|Drama\n2::Untitled::Horror\n"),
        ("ratings.dat", b"1::1::5::978300760\n1::2::3::978300761\n2::1::1::978300762\n2::2::2::978300763\n2::2::9::978300763\n2::9::4::978300763\nx\n"),
    ]);
    let store = Store::new();
    let done = import(Source::Movielens(dir.path().into()), &store).await;
    assert_eq!(done, Summary { users: 2, videos: 2, events: 5, known: 0, skipped: 4, seconds: 0.0 });
    let user = store.user("1").await;
    assert_eq!((user.age, user.gender), (Some(17), Some(Gender::Female)));
    let videos = store.videos().await;
    assert_eq!(videos["1"].title.as_deref(), Some("Café Society (1995)"));
    assert_eq!(videos["1"].published_at.unwrap().to_string(), "1995-01-01T00:00:00.000Z");
    assert_eq!((videos["1"].creator.as_str(), videos["2"].published_at), ("movie-1", Some(now())));
    assert_eq!(
        kinds(&store, "1").await.into_iter().map(|(_, kind, ms)| (kind, ms)).collect::<Vec<_>>(),
        [
            (Kind::View, Some(movielens::MOVIE_DURATION_MS)),
            (Kind::Like, None),
            (Kind::View, Some(movielens::PARTIAL_WATCH_MS))
        ]
    );
    assert_eq!(kinds(&store, "2").await.iter().map(|k| k.1).collect::<Vec<_>>(), [Kind::Dislike, Kind::Skip]);
}

#[tokio::test]
async fn movielens_latest_reads_csv_with_quotes() {
    let dir = folder(&[
        ("movies.csv", "movieId,title,genres\n11,\"American President, The (1995)\",Comedy|Drama|Romance\n12,Ó (2001),(no genres listed)\n".as_bytes()),
        ("ratings.csv", b"userId,movieId,rating,timestamp\n1,11,4.5,964982703\n1,12,3.5,964982704\n"),
    ]);
    let store = Store::new();
    let done = import(Source::Movielens(dir.path().into()), &store).await;
    assert_eq!((done.videos, done.events, done.skipped), (2, 3, 0));
    assert_eq!((&*store.videos().await["12"].category, store.videos().await["12"].tags.len()), ("unknown", 0));
}

#[tokio::test]
async fn json_lines_come_in_any_order_of_files_and_keep_or_get_ids() {
    let dir = folder(&[
        (
            "a-events.jsonl",
            br#"{"user": "u", "video": "v", "kind": "like", "at": "2026-11-24T09:00:01Z"}
{"kind":"like", "at":"2026-11-24T09:00:01Z", "user":"u", "video":"v"}
{"id": "e-1", "user": "u", "video": "v", "kind": "view", "watch_ms": 5300, "at": "2026-11-24T09:00:00Z"}

{"user": "u", "video": "v", "kind": "teleport"}
{"user": "u", "video": "nowhere", "kind": "like"}
{"user": "u", "video": "v", "kind": "share"}
not json
"#,
        ),
        ("b.jsonl", b"{\"id\": \"v\", \"creator\": \"c\", \"category\": \"x\", \"duration_ms\": 9000}\n{\"id\": \"u\", \"age\": 30, \"country\": \"DE\"}\r\n{\"id\": \"w\", \"age\": 3}\n"),
    ]);
    let files: Vec<PathBuf> = ["a-events.jsonl", "b.jsonl"].map(|f| dir.path().join(f)).into();
    let store = Store::new();
    let done = import(Source::Jsonl(files.clone()), &store).await;
    assert_eq!(done, Summary { users: 1, videos: 1, events: 3, known: 1, skipped: 4, seconds: 0.0 });
    assert_eq!(kinds(&store, "u").await.iter().map(|k| k.1).collect::<Vec<_>>(), [Kind::View, Kind::Like, Kind::Share]);
    assert!(store.tallies().await.contains_key(&TallyKey::Country("DE".into(), "v".into())));
    let later = run(Source::Jsonl(files), &store.store, now().plus_millis(60_000), Duration::ZERO).await.unwrap();
    assert_eq!((later.events, later.known), (0, 4));
}

#[tokio::test]
async fn a_wrong_folder_or_file_says_what_was_expected() {
    let dir = folder(&[
        ("user_features_pure.csv", b"user,days\n"),
        ("video_features_basic_pure.csv", b""),
        ("val.parquet", b"PAR1 no"),
        ("ok/user_features_pure.csv", b"user,days\n"),
        ("ok/video_features_basic_pure.csv", b"video_id\n"),
        ("ok/log_standard_1.csv", LOG_HEADER.as_bytes()),
        ("none/x", b""),
    ]);
    let at = |below: &str| dir.path().join(below);
    for (source, said) in [
        (Source::Kuairand(at("gone")), "cannot read"),
        (Source::Kuairand(at("none")), "is not a KuaiRand folder: there is no user_features_*.csv"),
        (Source::Kuairand(at("ok")), "user_features_pure.csv lacks the columns user_id, register_days"),
        (Source::Kuairand(at("")), "val.parquet: "),
        (Source::Movielens(at("none")), "is not a MovieLens folder: there is neither ratings.dat"),
        (Source::Jsonl(vec![at("ok")]), "cannot read"),
    ] {
        let error = run(source, &Store::new().store, now(), Duration::ZERO).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bundled_slice_comes_in_whole() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kuairand");
    let store = Store::new();
    let done = run(Source::Kuairand(dir.clone()), &store.store, now(), Duration::ZERO).await.unwrap();
    assert_eq!((done.users, done.videos, done.known, done.skipped), (27_285, 7_583, 0, 0), "{done:?}");
    let activity = store.activity().await;
    assert_eq!(activity.len() as u64, done.events);
    let count = |kind: Kind| activity.iter().filter(|a| a.event.kind == kind).count();
    println!("{done:?} {:?}", Kind::ALL.map(|kind| (kind, count(kind))));
    for history in activity.chunk_by(|a, b| a.event.user == b.event.user) {
        assert!(history.is_sorted_by_key(|a| a.seq) && history.is_sorted_by_key(|a| a.event.at));
    }
    let mut all = activity;
    all.sort_by_key(|a| a.order);
    assert!(all.is_sorted_by_key(|a| a.event.at), "statistics were folded out of order of time");
    let session = store.session("712").await;
    assert!(session.snapshot.is_some() && session.tail.is_empty());
    let before = store.tallies().await;
    let again = run(Source::Kuairand(dir), &store.store, now(), Duration::ZERO).await.unwrap();
    println!("again: {again:?}");
    assert_eq!((again.events, again.known), (0, done.events));
    assert_eq!(before, store.tallies().await);
}

#[tokio::test]
async fn a_log_can_be_moved_to_today_but_not_into_the_future() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.jsonl");
    let event =
        |id: &str, at: &str| format!(r#"{{"id": "{id}", "user": "u", "video": "v", "kind": "like", "at": "{at}"}}"#);
    let video =
        r#"{"id": "v", "creator": "c", "category": "k", "duration_ms": 1000, "published_at": "2021-12-31T00:00:00Z"}"#;
    let lines = [video.to_owned(), event("e1", "2022-01-01T00:00:00Z"), event("e2", "2022-06-01T00:00:00Z")];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let store = Store::new();
    let day = Duration::from_secs(86_400);
    let at = Timestamp::parse("2022-06-02T00:00:00Z").unwrap();
    let done = run(Source::Jsonl(vec![file]), &store.store, at, 10 * day).await.unwrap();
    assert_eq!((done.events, done.skipped), (1, 1));
    let history = store.store.history(&UserId::new("u").unwrap(), 10).await.unwrap();
    assert_eq!(history[0].event.at.to_string(), "2022-01-11T00:00:00.000Z");
}
