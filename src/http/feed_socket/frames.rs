//! What a client sends: bytes of a connection in, whole messages out. A message that is too long is refused by the length that its
//! frame announces, before it is kept.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_http::ws::{OpCode, Parser};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::Stream;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message, text or binary, put together from its pieces.
    Message(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close,
}

/// Why no more is heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message is longer than messages may be.
    TooLarge,
    /// These are no frames of a WebSocket client.
    NotFrames,
}

/// The messages of one client. It ends with the connection, or after a fault.
pub struct Incoming {
    payload: Payload,
    frames: Frames,
}

impl Incoming {
    /// Out of a connection's bytes; the longest message has `limit` bytes.
    pub fn new(payload: Payload, limit: usize) -> Self {
        Self { payload, frames: Frames { limit, ..Frames::default() } }
    }
}

impl Stream for Incoming {
    type Item = Result<Heard, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.frames.failed {
                return Poll::Ready(None);
            }
            if let Some(heard) = this.frames.next().transpose() {
                return Poll::Ready(Some(heard));
            }
            match ready!(Pin::new(&mut this.payload).poll_next(context)) {
                Some(Ok(bytes)) => this.frames.add(bytes),
                // It broke, which is an end like another.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

/// Frames and pieces of messages that are not whole yet.
#[derive(Default)]
struct Frames {
    /// What is not a whole frame yet.
    bytes: BytesMut,
    /// The beginning of a message that comes in pieces.
    begun: Option<BytesMut>,
    limit: usize,
    failed: bool,
}

impl Frames {
    fn add(&mut self, bytes: Bytes) {
        if self.bytes.is_empty() {
            // The connection's own memory, given back once it is read.
            self.bytes = BytesMut::from(bytes);
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
    }

    fn next(&mut self) -> Result<Option<Heard>, Fault> {
        let next = self.read();
        self.failed = next.is_err();
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        next
    }

    fn read(&mut self) -> Result<Option<Heard>, Fault> {
        loop {
            let room = self.limit - self.begun.as_ref().map_or(0, BytesMut::len);
            if announced(&self.bytes).is_some_and(|length| length > room as u64) {
                return Err(Fault::TooLarge);
            }
            let parsed = Parser::parse(&mut self.bytes, true, self.limit).map_err(|_| Fault::NotFrames)?;
            let Some((last, code, payload)) = parsed else { return Ok(None) };
            let payload = payload.unwrap_or_default();
            match (code, self.begun.take()) {
                (OpCode::Text | OpCode::Binary, None) if last => return Ok(Some(Heard::Message(payload.freeze()))),
                // Not a slice of what the connection reads into: it may wait for long.
                (OpCode::Text | OpCode::Binary, None) => self.begun = Some(BytesMut::from(&payload[..])),
                (OpCode::Continue, Some(mut begun)) => {
                    begun.extend_from_slice(&payload);
                    if last {
                        return Ok(Some(Heard::Message(begun.freeze())));
                    }
                    self.begun = Some(begun);
                }
                (code, begun) => {
                    self.begun = begun;
                    return match code {
                        OpCode::Ping if last => Ok(Some(Heard::Ping(payload.freeze()))),
                        OpCode::Pong if last => Ok(Some(Heard::Pong(payload.freeze()))),
                        OpCode::Close if last => Ok(Some(Heard::Close)),
                        _ => Err(Fault::NotFrames),
                    };
                }
            }
        }
    }
}

/// How many bytes of payload the first frame has, by its head (RFC 6455, section 5.2); none while that is not there yet.
pub fn announced(bytes: &[u8]) -> Option<u64> {
    match bytes.get(1)? & 0x7f {
        126 => Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => Some(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        length => Some(length.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> Frames {
        Frames { limit: 1_000, ..Frames::default() }
    }

    fn frame(code: OpCode, payload: &[u8], last: bool) -> BytesMut {
        let mut bytes = BytesMut::new();
        Parser::write_message(&mut bytes, payload, code, last, true);
        bytes
    }

    fn message(text: &str) -> Heard {
        Heard::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn too_long_a_message_is_refused_by_its_head() {
        for head in [
            &[0x81, 0xfe, 0x03, 0xe9][..],
            &[0x81, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0],
            &[0x81, 0xff, 255, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let mut frames = frames();
            frames.add(Bytes::copy_from_slice(head));
            assert_eq!(frames.next(), Err(Fault::TooLarge), "{head:?}");
        }
        // And in pieces: the second would make it too long.
        let mut frames = frames();
        frames.add(frame(OpCode::Text, &[b'x'; 600], false).freeze());
        assert_eq!(frames.next(), Ok(None));
        frames.add(frame(OpCode::Continue, &[b'x'; 600], true).split_to(4).freeze());
        assert_eq!(frames.next(), Err(Fault::TooLarge));
    }

    #[test]
    fn pieces_become_a_message_and_what_comes_between_is_heard() {
        let mut frames = frames();
        for bytes in [
            frame(OpCode::Text, b"one ", false),
            frame(OpCode::Ping, b"p", true),
            frame(OpCode::Continue, b"two ", false),
            frame(OpCode::Continue, b"three", true),
            frame(OpCode::Binary, b"more", true),
            frame(OpCode::Close, &1000_u16.to_be_bytes(), true),
        ] {
            frames.add(bytes.freeze());
        }
        let heard: Vec<_> = std::iter::from_fn(|| frames.next().unwrap()).collect();
        assert_eq!(
            heard,
            [Heard::Ping(Bytes::from_static(b"p")), message("one two three"), message("more"), Heard::Close]
        );
    }

    #[test]
    fn what_a_client_may_not_send_ends_it() {
        let unmasked = [0x81, 0x01, b'x'];
        let lone = frame(OpCode::Continue, b"x", true);
        let mut twice = frame(OpCode::Text, b"x", false);
        twice.extend_from_slice(&frame(OpCode::Text, b"y", true));
        let long_ping = frame(OpCode::Ping, &[0; 126], true);
        for bytes in [&unmasked[..], &lone, &twice, &long_ping, &[0xf1, 0x80, 0, 0, 0, 0], &[0x83, 0x80, 0, 0, 0, 0]] {
            let mut frames = frames();
            frames.add(Bytes::copy_from_slice(bytes));
            assert_eq!(frames.next(), Err(Fault::NotFrames), "{bytes:?}");
            assert!(frames.failed);
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same(
            texts in prop::collection::vec("[a-zé]{0,200}", 1..6),
            cuts in prop::collection::vec(1_usize..50, 1..200),
        ) {
            let mut bytes = BytesMut::new();
            texts.iter().for_each(|text| bytes.extend_from_slice(&frame(OpCode::Text, text.as_bytes(), true)));
            let (mut frames, mut heard) = (frames(), Vec::new());
            for cut in cuts.iter().cycle() {
                if bytes.is_empty() {
                    break;
                }
                frames.add(bytes.split_to((*cut).min(bytes.len())).freeze());
                heard.extend(std::iter::from_fn(|| frames.next().unwrap()));
            }
            prop_assert_eq!(heard, texts.iter().map(|text| message(text)).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_are_a_surprise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut frames = frames();
            frames.add(bytes.into());
            while let Ok(Some(_)) = frames.next() {}
            prop_assert!(frames.bytes.len() <= 1_014 || frames.failed);
        }
    }
}
