//! A connection to the broker: an address without secrets in it, TLS with the right authorities, and a bound on every wait.

use std::{
    fmt,
    future::Future,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    path::Path,
    sync::Arc,
    time::Duration,
};

use foryou_actors::ports::bus::BusError;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, ErrorKind,
    protocol::{AMQPErrorKind, AMQPSoftError},
    tcp::{RustlsConnector, RustlsConnectorConfig},
    uri::{AMQPScheme, AMQPUri, AMQPUserInfo},
};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::config::Rabbitmq;

/// Where the broker is, and who we are.
#[derive(Clone)]
pub struct Address {
    uri: AMQPUri,
    tls: Option<Arc<RustlsConnector>>,
    /// How long the broker may take to do anything that it is asked.
    pub timeout: Duration,
}

impl Address {
    /// Reads the settings; the file with the authorities, too.
    pub fn new(config: &Rabbitmq) -> Result<Self, BusError> {
        let refuse = |reason: &str| Err(BusError::Away(format!("bus.rabbitmq.url {reason}")));
        if config.url.contains('@') {
            return refuse(
                "holds a user; put user and password into bus.rabbitmq.user and the variable FORYOU__BUS__RABBITMQ__PASSWORD, \
                 so that no log shows them",
            );
        }
        if config.url.contains(['?', '#']) {
            return refuse("ends in parameters; give amqp://HOST:PORT/VHOST, and the rest as keys of [bus.rabbitmq]");
        }
        let mut uri: AMQPUri = match config.url.parse() {
            Ok(uri) => uri,
            Err(error) => return refuse(&format!("is not amqp://HOST:PORT/VHOST or amqps://HOST:PORT/VHOST: {error}")),
        };
        // lapin takes an IPv6 address for no host.
        if let Some((_, rest)) = config.url.split_once("://[")
            && let Some((host, _)) = rest.split_once(']')
        {
            uri.authority.host = host.to_owned();
        }
        uri.authority.userinfo =
            AMQPUserInfo { username: config.user.clone(), password: config.password.reveal().to_owned() };
        if uri.vhost.is_empty() {
            uri.vhost = "/".into();
        }
        uri.query.heartbeat = Some(config.heartbeat_s.get() as u16);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(Arc::new(connector(&config.ca).map_err(|error| {
                let file = config.ca.display();
                BusError::Away(format!("bus.rabbitmq.ca {file}: {error}; give a PEM file of certificates, or nothing"))
            })?)),
        };
        Ok(Self { uri, tls, timeout: config.timeout_ms.millis() })
    }

    /// Connects. `purpose` is what the broker shows as the connection's name.
    pub async fn connect(&self, purpose: &str) -> Result<Link, BusError> {
        let failed = |reason: String| BusError::Away(format!("{self} {reason}"));
        let attempt = Attempt::default();
        let (slot, tls, patience) = (attempt.0.clone(), self.tls.clone(), self.timeout);
        let runtime = lapin::runtime::default_runtime().map_err(|error| failed(describe(&error)))?;
        let properties = ConnectionProperties::default().with_connection_name(format!("foryou {purpose}").into());
        // lapin would wait for ever.
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri: AMQPUri, runtime| {
                let (slot, tls) = (slot.clone(), tls.clone());
                let opened = async {
                    let mut opened = Err(std::io::Error::other("the host has no address"));
                    for address in tokio::net::lookup_host((&*uri.authority.host, uri.authority.port)).await? {
                        opened = AsyncTcpStream::connect(&runtime, address).await;
                        if opened.is_ok() {
                            break;
                        }
                    }
                    let stream = opened?;
                    if let AsyncTcpStream::Plain(stream) = &stream {
                        slot.lock().connected(stream.get_ref().as_fd().try_clone_to_owned()?.into())?;
                    }
                    match tls {
                        Some(tls) => stream.into_rustls(&tls, &uri.authority.host).await,
                        None => Ok(stream),
                    }
                };
                let opened: std::io::Result<_> = match tokio::time::timeout(patience, opened).await {
                    Ok(opened) => opened,
                    Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                };
                opened.map_err(Into::into)
            },
            properties,
        );
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(connection)) => {
                attempt.link(connection).ok_or_else(|| failed("closed the connection at once".into()))
            }
            Ok(Err(error)) => Err(failed(format!("cannot be used: {}", opening(&error)))),
            Err(_) => Err(failed(format!(
                "did not answer within {} ms: is it frozen, or is a firewall in between?",
                self.timeout.as_millis()
            ))),
        }
    }

    /// Waits for an answer of the broker, within the time it has. `what` is what it was asked for: "to …".
    pub async fn within<T>(&self, what: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, BusError> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.refused(what, &error)),
            Err(_) => Err(self.silence(what)),
        }
    }

    /// The broker said no, or was lost.
    pub fn refused(&self, what: &str, error: &lapin::Error) -> BusError {
        BusError::Away(format!("RabbitMQ was asked {what}: {}", describe(error)))
    }

    /// The broker did not answer in time.
    pub fn silence(&self, what: &str) -> BusError {
        BusError::Away(format!("RabbitMQ was asked {what} and did not answer within {} ms", self.timeout.as_millis()))
    }
}

/// Without the user.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (&self.uri.authority.host, self.uri.authority.port);
        write!(f, "RabbitMQ at {}://{host}:{port}", self.uri.scheme)
    }
}

fn connector(ca: &Path) -> std::io::Result<RustlsConnector> {
    if ca.as_os_str().is_empty() {
        return RustlsConnectorConfig::new_with_native_certs()?.connector_with_no_client_auth();
    }
    let pem = std::fs::read(ca)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(std::io::Error::other)?;
    if certificates.is_empty() {
        return Err(std::io::Error::other("holds no certificate"));
    }
    let mut config = RustlsConnectorConfig::default();
    config.add_parsable_certificates(certificates);
    config.connector_with_no_client_auth()
}

/// As [`describe`], of a connection that could not be opened.
fn opening(error: &lapin::Error) -> String {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData, TimedOut};
    let what = describe(error);
    match error.kind() {
        ErrorKind::IOError(error) if error.kind() == ConnectionRefused => {
            "connection refused: is the broker running there? See bus.rabbitmq.url".into()
        }
        ErrorKind::IOError(error) if error.kind() == InvalidData && what.contains("corrupt message") => {
            format!("what answers there does not speak TLS ({what}); give bus.rabbitmq.url another port, or amqp://")
        }
        ErrorKind::IOError(error) if error.kind() == InvalidData => format!("{what}; see bus.rabbitmq.ca"),
        ErrorKind::IOError(error) if error.kind() == ConnectionAborted || error.kind() == ConnectionReset => {
            format!("{what}; see bus.rabbitmq.url: a port for TLS wants amqps://")
        }
        // The name has no address, or the network no way.
        ErrorKind::IOError(error) if error.kind() != TimedOut => format!("{what}; see bus.rabbitmq.url"),
        ErrorKind::ParsingError(_) => "what answers there does not speak AMQP; see bus.rabbitmq.url".into(),
        _ => what,
    }
}

/// Whether the broker refused what one channel asked for, and the connection goes on.
pub fn refused_alone(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refused) if matches!(refused.kind(), AMQPErrorKind::Soft(_)))
}

/// What went wrong, and what to do where that is plain.
pub fn describe(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(refused) => {
            let advice = match refused.kind() {
                _ if refused.get_message().as_str().contains("down or inaccessible") => {
                    "; it may be starting: try again"
                }
                AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => "; run `foryou migrate`",
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                    "; check bus.rabbitmq.user and bus.rabbitmq.password, and what that user may do"
                }
                _ => "",
            };
            format!("{}{advice}", refused.get_message())
        }
        ErrorKind::MissingHeartbeatError => "it was silent for two heartbeats".into(),
        ErrorKind::IOError(error) if error.kind() == std::io::ErrorKind::TimedOut => "it does not answer".into(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::ChannelsLimitReached => {
            "it allows no more channels; raise its channel_max above bus.partitions".into()
        }
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannel(_) => {
            "the connection is closed".into()
        }
        _ => error.to_string(),
    }
}

/// An open connection. Dropping it cuts it off; [`Link::close`] says goodbye first.
pub struct Link {
    pub connection: Connection,
    socket: TcpStream,
}

impl Link {
    /// Closes the connection in order, within `patience`.
    pub async fn close(self, patience: Duration) {
        // Whether the broker answers or not, the socket is shut down.
        let _ = tokio::time::timeout(patience, self.connection.close(200, "OK".into())).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Else lapin's thread would wait for a broker that does not answer any more.
        let _closed = self.socket.shutdown(Shutdown::Both);
    }
}

/// The socket of a connection that is being opened by lapin's thread, to end the thread's waiting when we do not wait any longer.
#[derive(Default)]
struct Attempt(Arc<Mutex<Slot>>);

#[derive(Default)]
enum Slot {
    #[default]
    Waiting,
    Connected(TcpStream),
    GivenUp,
}

impl Slot {
    fn connected(&mut self, socket: TcpStream) -> std::io::Result<()> {
        if matches!(self, Self::GivenUp) {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        *self = Self::Connected(socket);
        Ok(())
    }
}

impl Attempt {
    fn link(self, connection: Connection) -> Option<Link> {
        match std::mem::take(&mut *self.0.lock()) {
            Slot::Connected(socket) => Some(Link { connection, socket }),
            Slot::Waiting | Slot::GivenUp => None,
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Slot::Connected(socket) = std::mem::replace(&mut *self.0.lock(), Slot::GivenUp) {
            let _closed = socket.shutdown(Shutdown::Both);
        }
    }
}
