//! Feed sockets, as a client sees them (contract, section 3).

mod limits;
mod tail;

use std::{
    collections::BTreeMap,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client, client::IntoClientRequest};

use crate::{feeds::PATIENT, server::Server, world::World};

/// How long anything may take, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that keeps its list as the contract says.
struct Client {
    socket: WebSocket<TcpStream>,
    list: BTreeMap<u64, Value>,
    /// Positions below it were watched.
    head: u64,
    seq: u64,
    resume: String,
}

impl Client {
    fn open(server: &Server, user: &str) -> WebSocket<TcpStream> {
        Self::try_open(server, &format!("?user={user}"), None).unwrap()
    }

    /// The error is the status of the answer.
    fn try_open(server: &Server, query: &str, bearer: Option<&str>) -> Result<WebSocket<TcpStream>, u16> {
        let address = server.address();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{address}/v1/feed/ws{query}").into_client_request().unwrap();
        if let Some(bearer) = bearer {
            request.headers_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        }
        match client(request, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn hello(server: &Server, user: &str, buffer: u64, resume: Option<&str>) -> Self {
        Self::begin(Self::open(server, user), buffer, resume)
    }

    fn new(socket: WebSocket<TcpStream>) -> Self {
        Self { socket, list: BTreeMap::new(), head: 0, seq: 0, resume: String::new() }
    }

    fn begin(socket: WebSocket<TcpStream>, buffer: u64, resume: Option<&str>) -> Self {
        let mut client = Self::new(socket);
        let mut hello = json!({"type": "hello", "buffer": buffer});
        if let Some(resume) = resume {
            hello["resume"] = resume.into();
        }
        client.send(&hello);
        client.resume = client.until("welcome")["resume"].as_str().unwrap().to_owned();
        let first = client.until("feed");
        assert_eq!(first["because"], json!({"kind": "start"}));
        client.head = first["from"].as_u64().unwrap();
        client
    }

    fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message; a feed goes into the list.
    fn read(&mut self) -> Value {
        let message = loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => break serde_json::from_str::<Value>(&text).unwrap(),
                Message::Close(_) => return json!({"type": "closed"}),
                _ => {}
            }
        };
        if message["type"] == "feed" {
            let (seq, from) = (message["seq"].as_u64().unwrap(), message["from"].as_u64().unwrap());
            assert!(seq > self.seq, "numbers grow");
            self.seq = seq;
            self.list.retain(|position, _| *position < from.max(self.head));
            for (item, position) in message["items"].as_array().unwrap().iter().zip(from..) {
                assert_eq!(item["position"], position);
                if position >= self.head {
                    self.list.insert(position, item.clone());
                }
            }
        }
        message
    }

    fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.read();
            if message["type"] == kind {
                return message;
            }
            assert!(message["type"] != "closed", "it was closed before a {kind}");
        }
    }

    /// Sends an action, and waits until it is acknowledged and its tail is there.
    fn act(&mut self, id: &str, kind: &str, video: &str) {
        let mut event = json!({"type": "event", "id": id, "kind": kind, "video": video});
        if kind == "view" {
            event["watch_ms"] = 4_000.into();
        }
        self.send(&event);
        let (mut acknowledged, mut pushed) = (false, false);
        while !(acknowledged && pushed) {
            let message = self.read();
            acknowledged |= message["type"] == "ack" && message["id"] == id && message["status"] == "accepted";
            pushed |= message["type"] == "feed" && message["because"] == json!({"kind": "event", "id": id});
        }
    }

    fn videos(&self) -> Vec<String> {
        self.list.range(self.head..).map(|(_, item)| item["video"].as_str().unwrap().to_owned()).collect()
    }

    fn creators(&self) -> Vec<String> {
        self.list.range(self.head..).map(|(_, item)| item["creator"].as_str().unwrap().to_owned()).collect()
    }
}

fn serve() -> Server {
    serve_with("")
}

fn serve_with(sockets: &str) -> Server {
    Server::start_on(World::shared().active(), &format!("{PATIENT}\nsockets = {{ {sockets} }}")).ready()
}

/// A metric's value.
fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.get("/metrics").text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not told")).parse().unwrap()
}

/// Waits until a metric has a value.
fn until(server: &Server, name: &str, is: impl Fn(f64) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is(metric(server, name)) {
        assert!(Instant::now() < end, "{name} is {}", metric(server, name));
        std::thread::sleep(Duration::from_millis(10));
    }
}
