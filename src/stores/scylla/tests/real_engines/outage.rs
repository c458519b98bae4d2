//! A store that is away, on a Cassandra of the test's own.

use std::time::{Duration, Instant};

use foryou_actors::ports::contract::{event, user};
use foryou_actors::{sessions::state::Outcomes, statistics::Expected};
use foryou_testing::{Engine, Private};

use super::*;

/// How soon work goes on after the store answers again: 2 s are wanted, a busy machine is given more.
const BACK_WITHIN: Duration = Duration::from_secs(15);

fn private() -> (Private, Keyspace) {
    let engines = Private::up(&[Engine::Cassandra]);
    let keyspace = Keyspace::on(engines.engines());
    (engines, keyspace)
}

fn batch(person: &UserId, seq: u64) -> Batch {
    let (gained, lost, expected) = (Outcomes::VIEW, Outcomes::NONE, Expected::default());
    let activity = Activity { event: event(person, seq), seq, order: seq, gained, lost, expected };
    let tallies = vec![(TallyKey::All, seq.to_be_bytes().to_vec())];
    let snapshots = vec![(person.clone(), seq, seq.to_be_bytes().to_vec())];
    Batch { activity: vec![activity], snapshots, tallies, order: Some(seq), ..Batch::default() }
}

/// Writes one event after the other, each until it is taken, and says how many there are.
async fn write_on(
    store: Arc<ScyllaStore>,
    done: tokio::sync::watch::Sender<u64>,
    until: tokio::sync::watch::Receiver<bool>,
) {
    let person = user("ann");
    for seq in 1.. {
        while let Err(error) = store.write(batch(&person, seq)).await {
            assert!(matches!(error, StoreError::Away(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ended = done.send(seq);
        if *until.borrow() {
            return;
        }
    }
}

/// Waits until the store's trouble is one of these: the first that is noticed may be a connection that broke.
async fn wait_for_trouble(store: &ScyllaStore, reasons: &[&str]) -> String {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let trouble = store.trouble();
        if let Some(trouble) = trouble.as_ref().filter(|trouble| reasons.iter().any(|reason| trouble.contains(reason)))
        {
            return trouble.clone();
        }
        assert!(Instant::now() < deadline, "{trouble:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Answers everyone who connects with these bytes, and hangs up.
async fn answering(bytes: &'static [u8]) -> Scylla {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nodes = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _gone = client.write_all(bytes).await;
        }
    });
    Scylla { nodes, ..Scylla::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_after_a_kill_and_after_a_freeze() {
    let (engines, keyspace) = private();
    let store = Arc::new(keyspace.open().await);
    let (done, mut written) = tokio::sync::watch::channel(0);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let writing = tokio::spawn(write_on(store.clone(), done, stopping));
    let timeout = keyspace.0.timeout_ms.millis();

    for _ in 0..2 {
        let before = *written.borrow();
        written.wait_for(|count| *count > before + 30).await.unwrap();
        tokio::task::block_in_place(|| engines.kill(Engine::Cassandra));
        let trouble = wait_for_trouble(&store, &["connection refused"]).await;
        assert!(trouble.contains(&keyspace.0.nodes), "{trouble}");
        let asked = Instant::now();
        let refused = store.session(&user("ann")).await.unwrap_err();
        assert!(matches!(refused, StoreError::Away(_)) && asked.elapsed() < Duration::from_secs(2), "{refused}");
        tokio::task::block_in_place(|| engines.start(Engine::Cassandra));
        let (returned, before) = (Instant::now(), *written.borrow());
        written.wait_for(|count| *count > before).await.unwrap();
        println!("back after {:?}", returned.elapsed());
        assert!(returned.elapsed() < BACK_WITHIN, "after {:?}", returned.elapsed());
        assert_eq!(store.trouble(), None);
    }

    let before = *written.borrow();
    written.wait_for(|count| *count > before + 30).await.unwrap();
    tokio::task::block_in_place(|| engines.freeze(Engine::Cassandra));
    let frozen = Instant::now();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        reads.spawn(async move {
            let asked = Instant::now();
            let person = user("ann");
            let failed = store.session(&person).await.is_err();
            (failed, asked.elapsed())
        });
    }
    while let Some(read) = reads.join_next().await {
        let (failed, took) = read.unwrap();
        assert!(failed && took < timeout * 3, "{took:?}");
    }
    // Either a request or the driver's own sign of life ran out of time.
    wait_for_trouble(&store, &["no answer within", "keepalive"]).await;
    let asked = Instant::now();
    store.known_events(&[event(&user("ann"), 1).id]).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(2), "nobody waits for a store that is away");
    tokio::time::sleep(Duration::from_secs(5).saturating_sub(frozen.elapsed())).await;
    let before = *written.borrow();
    tokio::task::block_in_place(|| engines.thaw(Engine::Cassandra));
    let returned = Instant::now();
    written.wait_for(|count| *count > before).await.unwrap();
    println!("back after {:?}", returned.elapsed());
    assert!(returned.elapsed() < BACK_WITHIN, "after {:?}", returned.elapsed());

    stop.send(true).unwrap();
    writing.await.unwrap();
    let last = *written.borrow();
    let history = store.history(&user("ann"), usize::MAX).await.unwrap();
    let numbers: Vec<_> = history.iter().rev().map(|activity| activity.seq).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "each once, none lost");
    assert_eq!(store.session(&user("ann")).await.unwrap().snapshot, Some(last.to_be_bytes().to_vec()));
    // The keyspace goes with the engine.
    drop((store, keyspace, engines));
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let engines = Private::up_with_login(&[Engine::Cassandra]);
    let keyspace = Keyspace::on(engines.engines());
    let admin = connect::connect(&keyspace.0).await.unwrap();
    admin.query_unpaged("CREATE ROLE weak WITH PASSWORD = 'weak-secret' AND LOGIN = true", ()).await.unwrap();
    let as_user = |user: &str, password: &str| Scylla {
        user: user.into(),
        password: Secret::new(password),
        ..keyspace.0.clone()
    };
    let wrong = migrate(&as_user("weak", "hunter2")).await.unwrap_err().to_string();
    assert!(wrong.contains("refuses the user or the password") && !wrong.contains("hunter2"), "{wrong}");
    let nobody = migrate(&as_user("", "")).await.unwrap_err().to_string();
    assert!(nobody.contains("store.scylla.user"), "{nobody}");
    let weak = as_user("weak", "weak-secret");
    let forbidden = migrate(&weak).await.unwrap_err().to_string();
    assert!(forbidden.contains("has not the rights"), "{forbidden}");
    migrate(&keyspace.0).await.unwrap();
    let forbidden = ScyllaStore::connect(&weak, "t").await.err().unwrap().to_string();
    assert!(forbidden.contains("has not the rights"), "{forbidden}");
    keyspace.open_as("t").await.begin().await.unwrap();
}

#[tokio::test]
async fn an_unreachable_store_is_named() {
    // Nobody listens on a port that was just given and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Scylla { nodes: format!("127.0.0.1:{port}"), ..Scylla::default() };
    let away = ScyllaStore::connect(&config, "t").await.err().unwrap().to_string();
    assert!(away.contains(&config.nodes) && away.contains("connection refused"), "{away}");
    let config = Scylla { nodes: "nowhere.invalid:9042".into(), ..Scylla::default() };
    let away = ScyllaStore::connect(&config, "t").await.err().unwrap().to_string();
    assert!(away.contains("nowhere.invalid"), "{away}");
    for (bytes, reason) in
        [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak CQL"), (b"", "the connection broke")]
    {
        let away = ScyllaStore::connect(&answering(bytes).await, "t").await.err().unwrap().to_string();
        assert!(away.contains(reason), "{away}");
    }
}
