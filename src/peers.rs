//! Connections to other servers, kept open between requests: of a worker to the other nodes, of the exporter of traces to its
//! collector. Each has its own.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    client::conn::{
        TrySendError,
        http1::{SendRequest, handshake},
    },
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

/// The most connections of one worker to one node; more requests wait.
const CONNECTIONS: usize = 128;
/// How long an unused connection is kept; shorter than servers do, so that few are found closed.
const IDLE: Duration = Duration::from_secs(30);
/// The largest answer: many times what a route here gives.
const LARGEST_ANSWER: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Nobody listens there.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        address: Box<str>,
        /// Why.
        reason: io::Error,
    },
    /// The time is over.
    #[error("{address} did not answer within {} ms", within.as_millis())]
    TimedOut {
        /// Who.
        address: Box<str>,
        /// How long it had.
        within: Duration,
    },
    /// It hung up in between.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// To whom.
        address: Box<str>,
        /// What was wrong.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The connections of one worker to all other nodes.
pub struct Peers {
    peers: Mutex<HashMap<Box<str>, Arc<Peer>>>,
    tls: Option<Arc<ClientConfig>>,
}

impl Peers {
    /// None yet; they will speak TLS where that is given.
    pub fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self { peers: Mutex::default(), tls }
    }

    /// Sends a request to `address` (`host:port`) and reads the answer whole. What was sent may have had its effect where this
    /// fails.
    pub async fn send(
        &self,
        address: &str,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Bytes>, PeerError> {
        let peer = self.peer(address);
        let exchanged = tokio::time::timeout(within, peer.exchange(request)).await;
        exchanged.unwrap_or_else(|_| Err(PeerError::TimedOut { address: address.into(), within }))
    }

    /// Sends a request that opens something else than HTTP, over a connection of its own: what the connection is then, or the answer
    /// that refuses it.
    pub async fn open(
        &self,
        address: &str,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Result<Upgraded, Response<Bytes>>, PeerError> {
        let peer = self.peer(address);
        let opened = tokio::time::timeout(within, peer.open(request)).await;
        opened.unwrap_or_else(|_| Err(PeerError::TimedOut { address: address.into(), within }))
    }

    fn peer(&self, address: &str) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(address) {
            return peer.clone();
        }
        // Rare: the moment to forget nodes that are gone for long.
        peers.retain(|_, peer| !peer.is_unused());
        let (room, idle) = (Semaphore::new(CONNECTIONS), Mutex::default());
        let peer = Arc::new(Peer { address: address.into(), tls: self.tls.clone(), room, idle });
        peers.insert(address.into(), peer.clone());
        peer
    }
}

/// One other node.
struct Peer {
    address: Box<str>,
    tls: Option<Arc<ClientConfig>>,
    room: Semaphore,
    /// The longest unused in front.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

/// Why a connection gave no answer.
enum Failed {
    /// The request did not leave: it can go over another one.
    Unsent(Box<Request<Full<Bytes>>>),
    /// It may have left.
    Broken(PeerError),
}

impl Peer {
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, PeerError> {
        let _room = self.room.acquire().await.map_err(|closed| self.broken(closed))?;
        let mut request = request;
        // A connection that was kept may have been closed meanwhile. What did not leave, or only asks, is sent again.
        while let Some(connection) = self.kept() {
            let again = (request.method() == Method::GET).then(|| request.clone());
            request = match self.over(connection, request).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Unsent(request)) => *request,
                Err(Failed::Broken(error)) => again.ok_or(error)?,
            };
        }
        let connection = Connection::open(&self.address, self.tls.as_ref()).await;
        let connection =
            connection.map_err(|reason| PeerError::Unreachable { address: self.address.clone(), reason })?;
        match self.over(connection, request).await {
            Ok(answer) => Ok(answer),
            Err(Failed::Unsent(_)) => Err(self.broken("it was closed at once")),
            Err(Failed::Broken(error)) => Err(error),
        }
    }

    async fn open(&self, request: Request<Full<Bytes>>) -> Result<Result<Upgraded, Response<Bytes>>, PeerError> {
        let connection = Connection::open(&self.address, self.tls.as_ref()).await;
        let mut connection =
            connection.map_err(|reason| PeerError::Unreachable { address: self.address.clone(), reason })?;
        let answer = connection.sender.send_request(request).await.map_err(|error| self.broken(error))?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return hyper::upgrade::on(answer).await.map(Ok).map_err(|error| self.broken(error));
        }
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| self.broken(error))?;
        Ok(Err(Response::from_parts(head, body.to_bytes())))
    }

    /// Sends a request over a connection, which is kept if all went well.
    async fn over(&self, mut connection: Connection, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failed> {
        if connection.sender.ready().await.is_err() {
            return Err(Failed::Unsent(Box::new(request)));
        }
        let sent = connection.sender.try_send_request(request).await;
        let answer = sent.map_err(|mut error: TrySendError<_>| match error.take_message() {
            Some(request) => Failed::Unsent(Box::new(request)),
            None => Failed::Broken(self.broken(error.into_error())),
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| Failed::Broken(self.broken(error)))?.to_bytes();
        self.keep(connection);
        Ok(Response::from_parts(head, body))
    }

    /// The connection that was used last, if one is left that is good.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        let (_, connection) = idle.pop_back().filter(|(since, c)| since.elapsed() < IDLE && !c.sender.is_closed())?;
        Some(connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        while idle.front().is_some_and(|(since, _)| since.elapsed() >= IDLE) {
            idle.pop_front();
        }
        idle.push_back((Instant::now(), connection));
    }

    fn is_unused(&self) -> bool {
        let used =
            |(since, connection): &(Instant, Connection)| since.elapsed() < IDLE && !connection.sender.is_closed();
        self.room.available_permits() == CONNECTIONS && !self.idle.lock().iter().any(used)
    }

    fn broken(&self, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PeerError {
        PeerError::Broken { address: self.address.clone(), reason: reason.into() }
    }
}

/// One connection; requests go one after the other.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    async fn open(address: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        match tls {
            None => Self::over(stream).await,
            Some(tls) => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
                Self::over(TlsConnector::from(tls.clone()).connect(name, stream).await?).await
            }
        }
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // An error shows at the request.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self { sender, driver })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
