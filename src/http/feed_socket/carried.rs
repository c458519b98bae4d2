//! A socket that another node answers: its bytes are carried there and back, the handshake under that node's own proof.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    body::{BodySize, MessageBody},
    rt::task::JoinHandle,
    web::{Bytes, Payload},
};
use futures_util::StreamExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf},
    sync::watch,
};

use super::open::Place;

/// What is carried at a time.
const PIECE: usize = 4 << 10;

/// What the other node sends, as the body of the answer that opened the socket; while it lives, what the client sends is carried as well.
pub struct Carried {
    from: ReadHalf<TokioIo<Upgraded>>,
    there: JoinHandle<()>,
    _place: Place,
}

impl Carried {
    /// Begins to carry, until either end closes or this node stops: then the other one ends the socket.
    pub fn start(peer: Upgraded, mut payload: Payload, mut stopping: watch::Receiver<bool>, place: Place) -> Self {
        let (from, mut to) = tokio::io::split(TokioIo::new(peer));
        let there = actix_web::rt::spawn(async move {
            let carry = async {
                while let Some(Ok(bytes)) = payload.next().await {
                    if to.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = carry => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            // Where it is closed already there is nothing to tell.
            let _closed = to.shutdown().await;
        });
        Self { from, there, _place: place }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.there.abort();
    }
}

impl MessageBody for Carried {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut piece = [0; PIECE];
        let mut read = ReadBuf::new(&mut piece);
        Poll::Ready(match ready!(Pin::new(&mut self.from).poll_read(context, &mut read)) {
            Ok(()) if read.filled().is_empty() => None,
            Ok(()) => Some(Ok(Bytes::copy_from_slice(read.filled()))),
            Err(error) => Some(Err(error)),
        })
    }
}
