//! A broker and a store that are away, blocked, frozen, or refuse: what is said, to whom, and how often.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use foryou_testing::{Engine, Engines, Ground, Node, Private, free_address};
use scylla::client::{session::Session, session_builder::SessionBuilder};
use serde_json::{Value, json};

const FORYOU: &str = env!("CARGO_BIN_EXE_foryou");
/// How long anything may take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(40);
/// For how long the log of a trouble is watched, at least.
const WATCHED: Duration = Duration::from_secs(2);
/// A frozen broker is noticed after two of these.
const HEARTBEAT: &str = "bus.rabbitmq.heartbeat_s = 2\n";
/// How long `foryou serve` waits for a store that says nothing, so that the test need not wait longer.
const HURRIED: &str = "store.scylla.timeout_ms = 500\nstore.scylla.connect_timeout_ms = 500\n";
/// A password that no log may show.
const SECRET: &str = "hunter2";

/// The most lines of one complaint within a trouble that lasts: after 0, 1, 3, 7, .. seconds.
fn lines_at_most(lasted: Duration) -> usize {
    (lasted.as_secs() + 1).ilog2() as usize + 1
}

/// What keeps the node from being ready; empty where nothing does.
fn unready(node: &Node) -> String {
    let body = node.get("/readyz").map_or(Value::Null, |answer| answer.body);
    let reasons = body["errors"].as_array().into_iter().flatten();
    reasons.filter_map(|error| error["reason"].as_str()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn until(what: &str, node: &Node, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not so: {what}; {}\n{}", unready(node), node.log_end());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An event that is sent until it is accepted, and shows in the person's feed.
#[track_caller]
fn works(node: &Node, id: &str) {
    let event = json!({"id": id, "user": "ann", "video": "v", "kind": "like"});
    until("an event is accepted", node, || node.post("/v1/events", &event).is_ok_and(|answer| answer.status == 202));
    let path = format!("/v1/users/ann/feed?after={id}&wait_ms=2000");
    until("the feed reflects it", node, || node.get(&path).is_ok_and(|answer| answer.behind().is_empty()));
}

/// The lines of a log that warn, counted by where they come from and what they say.
fn warnings(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let mut words = line.split_whitespace().skip(1);
        if words.next().is_some_and(|level| ["WARN", "ERROR"].contains(&level)) {
            // Without the spans before, and without what differs from line to line.
            let said = line.split_once(" foryou").map_or(line, |(_, said)| said);
            let ends = [" error=", " took_ms=", " left_out=", " user=", " reason="].map(|field| said.find(field));
            let said = ends.into_iter().flatten().min().map_or(said, |end| &said[..end]);
            *counts.entry(said.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Somebody who listens in an engine's place, hangs up on everybody, and counts them.
struct StandIn {
    met: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    fn at(address: &str) -> Self {
        let began = Instant::now();
        let listener = loop {
            match TcpListener::bind(address) {
                Ok(listener) => break listener,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let (met, ended, address) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default(), listener.local_addr().unwrap());
        let (count, end) = (met.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if end.load(Relaxed) {
                    return;
                }
                drop(connection);
                count.fetch_add(1, Relaxed);
            }
        });
        Self { met, ended, address, thread: Some(thread) }
    }
}

impl StandIn {
    /// How many came, and within which time: at least one, and what comes within [`WATCHED`].
    #[track_caller]
    fn met(self) -> (usize, Duration) {
        let began = Instant::now();
        while self.met.load(Relaxed) == 0 || began.elapsed() < WATCHED {
            assert!(began.elapsed() < PATIENCE, "nobody came");
            std::thread::sleep(Duration::from_millis(20));
        }
        (self.met.load(Relaxed), began.elapsed())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        // Wakes it.
        _ = TcpStream::connect(self.address).map(|mut stream| stream.write_all(b"end"));
        _ = self.thread.take().unwrap().join();
    }
}

/// A node while something is wrong.
struct Trouble<'a> {
    node: &'a Node,
    name: &'static str,
    began: Instant,
    log: usize,
}

impl<'a> Trouble<'a> {
    fn begin(node: &'a Node, name: &'static str, happen: impl FnOnce()) -> Self {
        let (began, log) = (Instant::now(), node.log().len());
        happen();
        Self { node, name, began, log }
    }

    /// `/readyz` comes to say all of this.
    #[track_caller]
    fn told(self, words: &[&str]) -> Self {
        let says = |word: &&str| unready(self.node).contains(*word);
        until(&format!("{}: {words:?}", self.name), self.node, || words.iter().all(says));
        self
    }

    /// Requests of all kinds go on for a while, then all is well again: nothing was said more often than it is to be.
    #[track_caller]
    fn and_ends(self, end: impl FnOnce()) {
        let node = self.node;
        let (watched, mut answered) = (Instant::now(), 0);
        for n in 0.. {
            let event = json!({"id": format!("{}-{n}", self.name), "user": "ann", "video": "v", "kind": "like"});
            let answers = [
                node.post("/v1/events", &event),
                node.get("/v1/users/ann/feed"),
                node.get(&format!("/v1/users/new-{n}/feed")),
                node.put(&format!("/v1/users/new-{n}"), &json!({"age": 30})),
                node.get("/healthz"),
            ];
            // On a machine that is busy with other things an answer may be late.
            for answer in answers.iter().flatten() {
                assert!([200, 201, 202, 503].contains(&answer.status), "{}: {answer:?}", self.name);
            }
            answered += answers.iter().flatten().count();
            if watched.elapsed() > WATCHED {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        end();
        until("all is well", node, || node.get("/readyz").is_ok_and(|answer| answer.status == 200));
        works(node, &format!("{}-after", self.name.replace(' ', "-")));
        let (log, lasted) = (node.log(), self.began.elapsed());
        let counts = warnings(&log[self.log..]);
        println!("{}, {lasted:?}, {answered} answers: {counts:#?}", self.name);
        assert!(answered > 0, "{}: nobody was answered", self.name);
        assert!(!counts.is_empty(), "{}: nothing was said", self.name);
        for (said, count) in counts {
            // Two more: what was well for a moment may complain anew.
            assert!(count <= lines_at_most(lasted) + 2, "{}: {count} times in {lasted:?}: {said}", self.name);
        }
    }
}

/// What `foryou serve` says with other settings, with which it has to end by itself.
fn refused(dir: &Path, settings: &str) -> String {
    let mut node = Node::launch(FORYOU, dir, &free_address(), settings);
    let status = node.end();
    let log = node.log();
    assert_eq!(status.code(), Some(1), "{log}");
    // One for the ONNX Runtime that may be missing.
    assert!(log.lines().count() <= 2, "{log}");
    assert!(!log.contains("panicked") && !log.contains(SECRET), "{log}");
    log
}

fn replaced(settings: &str, key: &str, value: &str) -> String {
    let found = settings.lines().filter(|line| line.starts_with(key)).count();
    assert_eq!(found, 1, "{key} in {settings}");
    let line = |line: &str| if line.starts_with(key) { format!("{key} = {value}\n") } else { format!("{line}\n") };
    settings.lines().map(line).collect()
}

/// An administrator of the store.
struct Admin(tokio::runtime::Runtime, Session);

impl Admin {
    fn of(engines: &Engines) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (user, password) = engines.login.unwrap();
        let builder = SessionBuilder::new().known_node(&engines.cassandra).user(user, password);
        let session = runtime.block_on(builder.build()).unwrap();
        Self(runtime, session)
    }

    fn run(&self, statement: &str) {
        self.0.block_on(self.1.query_unpaged(statement, ())).unwrap();
    }
}

#[test]
fn real_engines_that_are_away_or_refuse_are_told_clearly_and_seldom() {
    let private = Private::up_with_login(&[Engine::Rabbitmq, Engine::Cassandra]);
    let ground = Ground::new(FORYOU, private.engines(), 2, HEARTBEAT);
    let keyspace = ground.name();
    // Nobody but the servers of this test is known under this name.
    let admin = Admin::of(private.engines());
    admin.run(&format!("CREATE ROLE plain WITH PASSWORD = '{SECRET}' AND LOGIN = true"));
    let as_plain = replaced(ground.settings(), "store.scylla.user", "\"plain\"");
    let as_plain = replaced(&as_plain, "store.scylla.password", &format!("{SECRET:?}"));

    starts_that_are_refused(&ground, &as_plain);

    for right in ["SELECT", "MODIFY"] {
        admin.run(&format!("GRANT {right} ON KEYSPACE {keyspace} TO plain"));
    }
    // The store may remember for two seconds that there was no right.
    let dir = ground.dir().join("node");
    let mut node = loop {
        let mut node = Node::launch(FORYOU, &dir, &free_address(), &as_plain);
        if node.is_up() {
            break node;
        }
        assert!(node.log().contains("has not the rights"), "{}", node.log());
    };
    node.wait_for("/readyz");
    let video = json!({"creator": "c", "category": "x", "duration_ms": 10_000});
    node.put("/v1/videos/v", &video).unwrap().expect(201);
    works(&node, "first");

    let away = ["bus: RabbitMQ at amqp://127.0.0.1:", "cannot be used"];
    let (_, broker) = private.engines().rabbitmq.rsplit_once('@').unwrap();
    Trouble::begin(&node, "broker stopped", || private.stop(Engine::Rabbitmq)).told(&away).and_ends(|| {
        let (met, lasted) = StandIn::at(broker).met();
        println!("{met} connections to the broker's place in {lasted:?}");
        // Five kinds of connections, each of which comes back every two seconds, and before that six times at growing pauses.
        assert!(met as u64 <= 5 * (6 + lasted.as_secs()), "{met} in {lasted:?}");
        private.start(Engine::Rabbitmq);
    });
    Trouble::begin(&node, "broker frozen", || private.freeze(Engine::Rabbitmq))
        .told(&["bus: RabbitMQ at amqp://127.0.0.1:"])
        .and_ends(|| private.thaw(Engine::Rabbitmq));
    // The broker says so to whoever publishes.
    Trouble::begin(&node, "broker blocked", || {
        private.alarm(true);
        let event = json!({"id": "blocked", "user": "ann", "video": "v", "kind": "like"});
        _ = node.post("/v1/events", &event);
    })
    .told(&["takes no messages", "low on memory"])
    .and_ends(|| private.alarm(false));
    Trouble::begin(&node, "store stopped", || private.stop(Engine::Cassandra))
        .told(&["store: 127.0.0.1:", "connection refused: is the store running there?"])
        .and_ends(|| {
            let (met, lasted) = StandIn::at(&private.engines().cassandra).met();
            println!("{met} connections to the store's place in {lasted:?}");
            // Five a second of ours, each with what the driver does by itself.
            assert!(met as u64 <= 40 * (1 + lasted.as_secs()), "{met} in {lasted:?}");
            private.start(Engine::Cassandra);
        });
    Trouble::begin(&node, "store frozen", || private.freeze(Engine::Cassandra))
        .told(&["store: 127.0.0.1:"])
        .and_ends(|| private.thaw(Engine::Cassandra));
    // The driver of the test's own session has its own way back.
    let admin = Admin::of(private.engines());
    Trouble::begin(&node, "rights to write revoked", || {
        admin.run(&format!("REVOKE MODIFY ON KEYSPACE {keyspace} FROM plain"))
    })
    .told(&["store: ", "plain has no MODIFY permission", "grant them"])
    .and_ends(|| admin.run(&format!("GRANT MODIFY ON KEYSPACE {keyspace} TO plain")));
    Trouble::begin(&node, "rights to read revoked", || {
        admin.run(&format!("REVOKE SELECT ON KEYSPACE {keyspace} FROM plain"))
    })
    .told(&["store: ", "plain has no SELECT permission", "grant them"])
    .and_ends(|| admin.run(&format!("GRANT SELECT ON KEYSPACE {keyspace} TO plain")));

    node.stop();
    let log = node.log();
    assert!(!log.contains("panicked") && !log.contains(SECRET), "{log}");
}

/// Everything with which `foryou serve` cannot begin, each in a process of its own; `as_plain` are settings of a user without rights.
fn starts_that_are_refused(ground: &Ground, as_plain: &str) {
    // Takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    // Nobody listens on a port that was just given and given back.
    let nobody = free_address();
    let settings = ground.settings();
    let with = |key: &str, value: &str| replaced(settings, key, value);
    let secret = format!("{SECRET:?}");
    let cases: [(String, &[&str]); 9] = [
        (
            with("bus.rabbitmq.password", &secret),
            &["ACCESS_REFUSED", "check bus.rabbitmq.user and bus.rabbitmq.password"],
        ),
        (
            with("store.scylla.password", &secret),
            &["refuses the user or the password", "see store.scylla.user and store.scylla.password"],
        ),
        (
            as_plain.to_owned(),
            &["plain has no SELECT permission", "grant them, or let an administrator run `foryou migrate`"],
        ),
        (
            format!("{settings}bus.rabbitmq.delivery_limit = 7\n"),
            &[
                "has x-delivery-limit = 20, and the configuration asks for 7 (bus.rabbitmq.delivery_limit)",
                "set the key back",
            ],
        ),
        (with("bus.partitions", "3"), &["of 2 partitions, and bus.partitions is 3", "set it back"]),
        (
            with("bus.rabbitmq.url", &format!("\"amqp://{nobody}\"")),
            &[&nobody, "connection refused: is the broker running there? See bus.rabbitmq.url"],
        ),
        (
            with("store.scylla.nodes", &format!("{nobody:?}")),
            &[&nobody, "connection refused: is the store running there?"],
        ),
        (
            with("bus.rabbitmq.url", &format!("\"amqp://{silent}\"")) + "bus.rabbitmq.timeout_ms = 1000\n",
            &["did not answer within 1000 ms: is it frozen, or is a firewall in between?"],
        ),
        (with("store.scylla.nodes", &format!("\"{silent}\"")) + HURRIED, &["frozen"]),
    ];
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..)
            .zip(&cases)
            .map(|(n, (settings, told))| {
                (told, scope.spawn(move || refused(&ground.dir().join(format!("refused-{n}")), settings)))
            })
            .collect();
        for (told, case) in started {
            let log = case.join().unwrap();
            assert!(told.iter().all(|words| log.contains(words)), "{told:?} in {log}");
        }
    });
}
