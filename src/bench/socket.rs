//! A feed socket's client: handshake, frames, and nothing that costs much.

use std::net::{Ipv4Addr, SocketAddr};

use actix_http::ws::{OpCode, Parser};
use actix_web::web::BytesMut;
use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// The largest frame that a server may send here.
const LARGEST: usize = 4 << 20;
/// Sockets from one source address: fewer than there are ports.
const EACH_SOURCE: usize = 20_000;

/// An open socket.
pub struct Socket {
    stream: TcpStream,
    read: BytesMut,
}

impl Socket {
    /// Opens the `n`-th socket, for `user`, and says hello: the welcome and the first feed are still to be read.
    pub async fn open(to: SocketAddr, n: usize, user: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if to.ip().is_loopback() {
            // Every address of 127.0.0.0/8 is this machine; each has its own ports.
            let [host, net] = u16::try_from(n / EACH_SOURCE + 1)?.to_le_bytes();
            socket.bind((Ipv4Addr::new(127, 0, net, host), 0).into())?;
        }
        let mut stream = socket.connect(to).await.with_context(|| format!("socket {n} cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        // RFC 6455's own example of a key.
        let head = format!(
            "GET /v1/feed/ws?user={user} HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut read = BytesMut::new();
        let end = loop {
            ensure!(stream.read_buf(&mut read).await? > 0, "socket {n} was closed before it was open");
            if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = read.split_to(end);
        ensure!(head.starts_with(b"HTTP/1.1 101"), "socket {n} was answered {}", String::from_utf8_lossy(&head));
        let mut opened = Self { stream, read };
        opened.say(r#"{"type":"hello","buffer":5}"#).await?;
        Ok(opened)
    }

    /// Sends a message.
    pub async fn say(&mut self, message: &str) -> Result<()> {
        self.send(OpCode::Text, message.as_bytes()).await
    }

    /// The next message, told apart by `type`. May be cancelled.
    pub async fn hear(&mut self) -> Result<serde_json::Value> {
        loop {
            while let Some((_, code, payload)) = Parser::parse(&mut self.read, false, LARGEST)? {
                match code {
                    OpCode::Text => return Ok(serde_json::from_slice(&payload.unwrap_or_default())?),
                    OpCode::Ping => self.send(OpCode::Pong, &payload.unwrap_or_default()).await?,
                    OpCode::Close => bail!("the server closed the socket"),
                    _ => {}
                }
            }
            if self.read.is_empty() {
                // Memory for what comes is taken when it comes.
                self.read = BytesMut::new();
                self.stream.readable().await?;
            }
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the connection was closed");
        }
    }

    /// Reads until a message of this type.
    pub async fn until(&mut self, kind: &str) -> Result<serde_json::Value> {
        loop {
            let message = self.hear().await?;
            ensure!(message["type"] != "error" && message["type"] != "bye", "instead of {kind} came {message}");
            if message["type"] == kind {
                return Ok(message);
            }
        }
    }

    async fn send(&mut self, code: OpCode, payload: &[u8]) -> Result<()> {
        let mut frame = BytesMut::new();
        Parser::write_message(&mut frame, payload, code, true, true);
        Ok(self.stream.write_all(&frame).await?)
    }
}
