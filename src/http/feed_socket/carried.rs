//! A socket that another node answers: its bytes are carried there and back, the handshake under that node's own proof. When this node
//! stops, the client is told so here.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Poll, ready},
};

use actix_http::ws::{CloseCode, OpCode};
use actix_web::{
    body::{BodyStream, MessageBody},
    rt::task::JoinHandle,
    web::{Bytes, BytesMut, Payload},
};
use futures_util::{StreamExt, stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf},
    sync::watch,
    time,
};

use super::{
    frames::announced,
    messages::Says,
    open::{Ended, FAREWELL, Place, Sockets},
    outbox::{close_frame, frame},
};

/// What is carried at a time.
const PIECE: usize = 4 << 10;

type Peer = TokioIo<Upgraded>;

/// What the other node sends. While it lives, what the client sends is carried as well.
struct Carried {
    from: ReadHalf<Peer>,
    frames: Frames,
    stopping: watch::Receiver<bool>,
    /// The client was told that this node stops.
    told: bool,
    there: JoinHandle<()>,
    _place: Place,
}

/// The body of the answer that opened the socket: carries until either end closes. When this node stops, the client is told when to come
/// back, and has a little time to agree.
pub fn carry(peer: Upgraded, payload: Payload, stopping: watch::Receiver<bool>, place: Place) -> impl MessageBody {
    let (from, to) = tokio::io::split(TokioIo::new(peer));
    let there = actix_web::rt::spawn(carry_there(payload, to));
    let carried = Carried { from, frames: Frames::default(), stopping, told: false, there, _place: place };
    BodyStream::new(stream::unfold(carried, |mut carried| async {
        let piece = carried.next().await.transpose()?;
        Some((piece, carried))
    }))
}

async fn carry_there(mut payload: Payload, mut to: WriteHalf<Peer>) {
    while let Some(Ok(bytes)) = payload.next().await {
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    // Where it is closed already there is nothing to tell.
    let _closed = to.shutdown().await;
}

impl Carried {
    /// The next bytes for the client; none at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.told {
            // The client's agreement is carried there, and the other node ends the socket.
            let end = async { while read(&mut self.from).await.is_ok_and(|bytes| !bytes.is_empty()) {} };
            let _agreed = time::timeout(FAREWELL, end).await;
            return Ok(None);
        }
        let mut bytes = tokio::select! {
            biased;
            // An error says that the server is gone.
            _ = self.stopping.wait_for(|stopping| *stopping), if self.frames.is_between() => {
                self.told = true;
                return Ok(Some(farewell()));
            }
            bytes = read(&mut self.from) => bytes?,
        };
        let stops = *self.stopping.borrow();
        let mut passed = self.frames.pass(&bytes);
        while passed < bytes.len() && !(stops && self.frames.is_between()) {
            passed += self.frames.pass(&bytes[passed..]);
        }
        bytes.truncate(passed);
        Ok((passed > 0).then_some(bytes))
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.there.abort();
    }
}

/// What there is to read, which is nothing at the end. Who waits holds no buffer.
async fn read(from: &mut ReadHalf<Peer>) -> io::Result<Bytes> {
    poll_fn(|context| {
        let mut piece = [0; PIECE];
        let mut read = ReadBuf::new(&mut piece);
        let done = ready!(Pin::new(&mut *from).poll_read(context, &mut read));
        Poll::Ready(done.map(|()| Bytes::copy_from_slice(read.filled())))
    })
    .await
}

fn farewell() -> Bytes {
    let (why, retry_ms) = (Ended::Stops.reason(), Sockets::retry().as_millis() as u64);
    let mut words = BytesMut::from(&frame(OpCode::Text, Says::Bye { reason: why, retry_ms }.frame().as_bytes())[..]);
    words.extend_from_slice(&close_frame(CloseCode::Normal, why));
    words.freeze()
}

/// Where the frames of a server begin and end, which are not masked and of which each is a whole message.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// What the head announced and did not come yet.
    left: u64,
    /// The last frame has begun.
    closed: bool,
}

impl Frames {
    /// Goes through bytes until a frame ends, or all are through; says how many are.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.left == 0 {
            let Some(byte) = bytes.get(at) else { return at };
            self.head.push(*byte);
            at += 1;
            let Some(length) = announced(&self.head) else { continue };
            self.closed |= OpCode::from(self.head[0] & 0xf) == OpCode::Close;
            self.left = length;
            if length == 0 {
                self.head.clear();
                return at;
            }
        }
        let through = self.left.min((bytes.len() - at) as u64);
        self.left -= through;
        if self.left == 0 {
            self.head.clear();
        }
        at + through as usize
    }

    /// Whether something may be said here.
    fn is_between(&self) -> bool {
        self.head.is_empty() && !self.closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_they_come(
            lengths in prop::collection::vec(prop_oneof![0usize..130, 120usize..200, 65_530usize..65_540], 1..5),
            cuts in prop::collection::vec(1usize..70_000, 1..20),
        ) {
            let all: Vec<Bytes> = lengths.iter().map(|length| frame(OpCode::Text, &vec![0x88; *length])).collect();
            let mut ends: Vec<usize> = all.iter().scan(0, |at, frame| { *at += frame.len(); Some(*at) }).collect();
            let bytes = all.concat();
            let (mut frames, mut found, mut at) = (Frames::default(), Vec::new(), 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let piece = &bytes[at..bytes.len().min(at + cut)];
                let mut passed = 0;
                while passed < piece.len() {
                    passed += frames.pass(&piece[passed..]);
                    if frames.is_between() {
                        found.push(at + passed);
                    }
                }
                at += piece.len();
            }
            found.dedup();
            ends.dedup();
            prop_assert_eq!(found, ends);
            frames.pass(&close_frame(CloseCode::Normal, "enough"));
            prop_assert!(!frames.is_between(), "nothing may follow the last frame");
        }
    }
}
