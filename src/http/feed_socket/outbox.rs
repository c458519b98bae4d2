//! What is sent to a client, and how far the client has read it. The system takes megabytes for somebody who reads nothing, so it cannot be
//! asked: now and then a ping says how many bytes went before it, and its pong brings the number back.

use std::{
    cell::RefCell,
    collections::VecDeque,
    mem,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use actix_web::{
    body::{BodySize, MessageBody},
    web::{Bytes, BytesMut},
};

/// Bytes that the client is not known to have read while no more feeds are made for it.
const ROOM: u64 = 16 << 10;
/// Bytes after which a ping asks how far the client is.
const ASK_EVERY: u64 = 4 << 10;
/// What the connection is given at a time: its buffer, once larger, stays so.
const PIECE: usize = 4 << 10;
/// The longest reason of a close frame (RFC 6455, section 5.5.1).
const LONGEST_REASON: usize = 123;

/// The writing end.
pub struct Outbox(Rc<RefCell<Line>>);

/// The connection's end: the body of the answer that opened the socket.
pub struct Sent(Rc<RefCell<Line>>);

/// The connection is given up: its client does not read.
#[derive(Debug, thiserror::Error)]
#[error("the client of a feed socket does not read; its connection is dropped")]
pub struct Unread;

struct Line {
    frames: VecDeque<Bytes>,
    /// Given to the connection without a pause.
    given: usize,
    /// All bytes so far, those that were asked about, and those that the client has read for sure.
    written: u64,
    asked: u64,
    read: u64,
    /// Since when an answer is waited for.
    unanswered: Option<Instant>,
    end: End,
    connection: Option<Waker>,
    /// The unread bytes of all sockets of this node.
    unread: Arc<AtomicUsize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Open,
    /// The last frame was written.
    Closed,
    /// The connection ends once what waits is sent.
    Finished,
    /// The connection is dropped.
    Dropped,
}

/// Two ends of one line; `unread` counts the bytes of all that are not known to be read.
pub fn line(unread: Arc<AtomicUsize>) -> (Outbox, Sent) {
    let line = Line {
        frames: VecDeque::new(),
        given: 0,
        written: 0,
        asked: 0,
        read: 0,
        unanswered: None,
        end: End::Open,
        connection: None,
        unread,
    };
    let line = Rc::new(RefCell::new(line));
    (Outbox(line.clone()), Sent(line))
}

/// One frame of a server's, whole.
pub fn frame(code: OpCode, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    Parser::write_message(&mut frame, payload, code, true, false);
    frame.freeze()
}

/// The frame after which there is none.
pub fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    debug_assert!(reason.len() <= LONGEST_REASON);
    let mut frame = BytesMut::new();
    Parser::write_close(&mut frame, Some(CloseReason { code, description: Some(reason.into()) }), false);
    frame.freeze()
}

impl Outbox {
    /// Writes a message.
    pub fn text(&self, message: &str) {
        let mut line = self.0.borrow_mut();
        line.write(OpCode::Text, message.as_bytes());
        if line.written - line.asked >= ASK_EVERY {
            line.ask();
        }
    }

    /// Asks whether the client is there, and how far.
    pub fn ping(&self) {
        self.0.borrow_mut().ask();
    }

    /// Answers a client's ping.
    pub fn pong(&self, payload: &[u8]) {
        self.0.borrow_mut().write(OpCode::Pong, payload);
    }

    /// Writes the last frame; what is written from now on is not sent.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut line = self.0.borrow_mut();
        line.push(close_frame(code, reason));
        line.end_as(End::Closed);
    }

    /// Notes the answer to a ping; says whether the client is further than was known.
    pub fn answered(&self, payload: &[u8]) -> bool {
        let Ok(read) = payload.try_into().map(u64::from_be_bytes) else { return false };
        let line = &mut *self.0.borrow_mut();
        if read > line.asked || read <= line.read {
            return false;
        }
        line.unread.fetch_sub((read - line.read) as usize, Relaxed);
        line.read = read;
        line.unanswered = (read < line.asked).then(Instant::now);
        true
    }

    /// Bytes that the client is not known to have read.
    pub fn unread(&self) -> u64 {
        let line = self.0.borrow();
        line.written - line.read
    }

    /// Whether the client reads fast enough for more than answers.
    pub fn has_room(&self) -> bool {
        self.unread() < ROOM
    }

    /// For how long the client has not got any further, if something waits to be read.
    pub fn waits(&self) -> Option<Duration> {
        self.0.borrow().unanswered.map(|since| since.elapsed())
    }

    /// Drops the connection, and what waits with it.
    pub fn abandon(&self) {
        self.0.borrow_mut().end_as(End::Dropped);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.borrow_mut().end_as(End::Finished);
    }
}

impl Line {
    fn ask(&mut self) {
        // Its own bytes are none of the number: a client that has it all read can say so.
        let so_far = self.written;
        self.write(OpCode::Ping, &so_far.to_be_bytes());
        self.asked = so_far;
        if self.read < so_far {
            self.unanswered.get_or_insert_with(Instant::now);
        }
    }

    fn write(&mut self, code: OpCode, payload: &[u8]) {
        self.push(frame(code, payload));
    }

    fn push(&mut self, frame: Bytes) {
        if self.end != End::Open {
            return;
        }
        self.written += frame.len() as u64;
        self.unread.fetch_add(frame.len(), Relaxed);
        self.frames.push_back(frame);
        self.wake();
    }

    fn end_as(&mut self, end: End) {
        if end > self.end {
            self.end = end;
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }

    fn next(&mut self, context: &Context<'_>) -> Poll<Option<Result<Bytes, Unread>>> {
        if self.end == End::Dropped {
            return Poll::Ready(Some(Err(Unread)));
        }
        let Some(front) = self.frames.front_mut() else {
            // Few sockets have much to say at a time.
            self.frames.shrink_to(2);
            self.given = 0;
            if self.end == End::Finished {
                return Poll::Ready(None);
            }
            self.connection = Some(context.waker().clone());
            return Poll::Pending;
        };
        if self.given >= PIECE {
            // The connection sends what it has, and asks again.
            self.given = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = PIECE - self.given;
        let piece = if front.len() > room { front.split_to(room) } else { mem::take(front) };
        if front.is_empty() {
            self.frames.pop_front();
        }
        self.given += piece.len();
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.unread.fetch_sub((self.written - self.read) as usize, Relaxed);
    }
}

impl MessageBody for Sent {
    type Error = Unread;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unread>>> {
        self.0.borrow_mut().next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a connection that takes all gets until it is asked to wait.
    fn taken(sent: &Sent) -> (Vec<u8>, bool) {
        let (mut bytes, context) = (Vec::new(), Context::from_waker(Waker::noop()));
        let mut pauses = 0;
        loop {
            match sent.0.borrow_mut().next(&context) {
                Poll::Ready(Some(Ok(piece))) => {
                    assert!(piece.len() <= PIECE);
                    bytes.extend_from_slice(&piece);
                    pauses = 0;
                }
                Poll::Ready(Some(Err(Unread))) => panic!("it was dropped"),
                Poll::Ready(None) => return (bytes, true),
                Poll::Pending if pauses > 0 => return (bytes, false),
                Poll::Pending => pauses += 1,
            }
        }
    }

    fn frames(bytes: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
        let mut bytes = BytesMut::from(bytes);
        std::iter::from_fn(|| Parser::parse(&mut bytes, false, 1 << 20).unwrap())
            .map(|(_, code, payload)| (code, payload.unwrap_or_default().to_vec()))
            .collect()
    }

    #[test]
    fn pings_ask_how_far_the_client_is_and_pongs_make_room() {
        let unread = Arc::new(AtomicUsize::new(0));
        let (outbox, sent) = line(unread.clone());
        outbox.text("hello");
        assert_eq!(frames(&taken(&sent).0), [(OpCode::Text, b"hello".to_vec())], "a little asks nothing");
        assert!(outbox.waits().is_none());
        for _ in 0..3 {
            outbox.text(&"x".repeat(6_000));
        }
        assert!(!outbox.has_room() && outbox.waits().is_some());
        assert_eq!(unread.load(Relaxed) as u64, outbox.unread());
        let pings: Vec<_> = frames(&taken(&sent).0)
            .into_iter()
            .filter(|(code, _)| *code == OpCode::Ping)
            .map(|(_, said)| said)
            .collect();
        assert_eq!(pings.len(), 3);
        assert!(outbox.answered(&pings[1]) && outbox.has_room() && outbox.waits().is_some());
        assert!(!outbox.answered(&pings[0]), "that was known");
        assert!(!outbox.answered(b"hello") && !outbox.answered(&u64::MAX.to_be_bytes()));
        assert!(outbox.answered(&pings[2]) && outbox.waits().is_none());
        assert!(outbox.unread() < 20, "the last ping itself");
        drop((outbox, sent));
        assert_eq!(unread.load(Relaxed), 0);
    }

    #[test]
    fn nothing_follows_the_last_frame_and_the_end_follows_what_waits() {
        let (outbox, sent) = line(Arc::default());
        outbox.text(&"x".repeat(20_000));
        outbox.close(CloseCode::Normal, "enough");
        outbox.text("late");
        let (bytes, ended) = taken(&sent);
        assert!(!ended, "the client has the word");
        let frames = frames(&bytes);
        assert_eq!(frames.last().unwrap(), &(OpCode::Close, [&1000_u16.to_be_bytes()[..], b"enough"].concat()));
        assert_eq!(frames.iter().filter(|(code, _)| *code == OpCode::Text).count(), 1);
        drop(outbox);
        assert!(taken(&sent).1);
    }

    #[test]
    fn a_connection_that_is_given_up_fails() {
        let (outbox, sent) = line(Arc::default());
        outbox.text("x");
        outbox.abandon();
        let next = sent.0.borrow_mut().next(&Context::from_waker(Waker::noop()));
        assert!(matches!(next, Poll::Ready(Some(Err(Unread)))));
    }
}
