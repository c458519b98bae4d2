//! What is said over a feed socket: one JSON object a frame, told apart by `type`.

use foryou_schemas::{FeedItem, FieldError, Invalid, VideoId, object, object::Object};
use serde::Serialize;
use uuid::Uuid;

use super::subscription::Resume;
use crate::{error::Problem, http::results::Status};

/// Positions are JSON numbers, which other languages hold exactly up to here.
const MOST: i64 = 1 << 53;
/// The most videos that a client may ask for at once, or want at hand.
pub const MOST_ITEMS: i64 = 100;
/// The most videos that a client may name as watched while nobody heard it.
pub const MOST_SEEN: usize = 50;

/// What a client says.
#[derive(Debug, PartialEq)]
pub enum Said<'a> {
    /// The first word: how many videos the client wants at hand, where it was, what it watched while nobody heard it, and whether items shall
    /// tell their story.
    Hello { buffer: usize, resume: Option<Resume>, seen: Vec<VideoId>, explain: bool },
    /// Something happened; the frame is an event without `user`.
    Event(&'a [u8]),
    /// The client got to a video.
    Seen { video: VideoId },
    /// The client wants more videos behind those that it has.
    More { limit: usize },
    /// Is anybody there?
    Ping,
}

impl<'a> Said<'a> {
    /// Reads a frame.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Invalid> {
        let mut o = Object::parse(frame)?;
        let kind = o.required("type", object::text);
        match kind.as_deref() {
            Some("hello") => {
                let buffer = o.optional("buffer", |raw| object::integer(raw, 1..=MOST_ITEMS));
                let resume = o.optional("resume", |raw| Resume::read(&object::text(raw)?));
                let explain = o.optional("explain", |raw| object::read(raw, "true or false")).unwrap_or(false);
                let seen = o.optional("seen", videos).unwrap_or_default();
                let hello = Self::Hello { buffer: buffer.unwrap_or(DEFAULT_BUFFER) as usize, resume, seen, explain };
                o.finish("type, buffer, resume, seen, explain", Some(hello))
            }
            Some("event") => Ok(Self::Event(frame)),
            Some("seen") => {
                let video = o.required("video", |raw| VideoId::new(object::text(raw)?));
                o.finish("type, video", video.map(|video| Self::Seen { video }))
            }
            Some("more") => {
                let limit = o.optional("limit", |raw| object::integer(raw, 1..=MOST_ITEMS));
                o.finish("type, limit", Some(Self::More { limit: limit.unwrap_or(DEFAULT_BUFFER) as usize }))
            }
            Some("ping") => o.finish("type", Some(Self::Ping)),
            Some(_) => Err(Invalid::field("type", "is none that a client says: hello, event, seen, more, ping")),
            None => o.finish("type", None),
        }
    }
}

fn videos(raw: &serde_json::value::RawValue) -> Result<Vec<VideoId>, String> {
    let list: Vec<String> = object::read(raw, "an array of video ids")?;
    if list.len() > MOST_SEEN {
        return Err(format!("holds {}; give at most the latest {MOST_SEEN}", list.len()));
    }
    list.into_iter().map(|id| VideoId::new(id).map_err(|reason| format!("has an id that {reason}"))).collect()
}

/// How many videos a client has at hand that does not say.
const DEFAULT_BUFFER: i64 = 5;

impl Resume {
    /// The word for the client.
    pub fn word(&self) -> String {
        format!("{}.{}.{}", self.id.simple(), self.head, self.seq)
    }

    fn read(word: &str) -> Result<Self, String> {
        let wrong = || "is not a word that a welcome gave; leave it out to begin anew".to_owned();
        let mut parts = word.rsplitn(3, '.');
        let mut number = || {
            let number: i64 = parts.next()?.parse().ok()?;
            (0..MOST).contains(&number).then_some(number as u64)
        };
        let (seq, head) = (number().ok_or_else(wrong)?, number().ok_or_else(wrong)?);
        let id = parts.next().and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(wrong)?;
        Ok(Self { id, head, seq })
    }
}

/// Why a tail was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Because {
    /// What happened.
    pub kind: Cause,
    /// The event, release or video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
}

/// What makes for another tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The subscription began.
    Start,
    /// The person did something.
    Event,
    /// The client asked, or has less at hand than it wants.
    More,
    /// Other models serve.
    Release,
    /// A followed creator published something.
    Video,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Start, Self::Event, Self::More, Self::Release, Self::Video];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Event => "event",
            Self::More => "more",
            Self::Release => "release",
            Self::Video => "video",
        }
    }
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Says<'a> {
    /// The answer to `hello`.
    Welcome { resume: String, heartbeat_ms: u64 },
    /// Replaces everything from position `from` on. `took_ms` is what the feed took, waiting for the cause to be applied included.
    Feed { seq: u64, from: u64, took_ms: f64, items: &'a [FeedItem], because: &'a Because, resume: String },
    /// What became of an event.
    Ack { id: &'a str, status: Status },
    /// The answer to `ping`.
    Pong,
    /// The last word.
    Bye { reason: &'a str, retry_ms: u64 },
}

impl Says<'_> {
    /// The frame.
    pub fn frame(&self) -> String {
        // Strings and finite numbers always turn into JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Which of the client's messages a problem is about, as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its type.
    #[serde(rename = "about", skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// The event's id, where the client gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// The video that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoId>,
}

impl About {
    /// About this message.
    pub fn of(said: &Said<'_>) -> Self {
        let (message, video) = match said {
            Said::Hello { .. } => ("hello", None),
            Said::Event(_) => ("event", None),
            Said::Seen { video } => ("seen", Some(video.clone())),
            Said::More { .. } => ("more", None),
            Said::Ping => ("ping", None),
        };
        Self { message: Some(message), id: None, video }
    }

    /// Whether it is an event, which is acknowledged.
    pub fn is_event(&self) -> bool {
        self.message == Some("event")
    }
}

/// The frame that tells of a problem; after a fatal one the socket ends.
pub fn error_frame(problem: &Problem, about: &About, fatal: bool) -> String {
    let document = problem.document();
    let frame = ErrorFrame {
        r#type: "error",
        problem: &document.r#type,
        title: document.title,
        status: document.status,
        detail: document.detail,
        errors: document.errors,
        about,
        retry_ms: problem.retry_after().map(|wait| wait.as_millis().max(1) as u64),
        fatal,
    };
    // Strings and numbers always turn into JSON.
    serde_json::to_string(&frame).unwrap_or_default()
}

/// A problem document; `type` says what the message is, so the document's is in `problem`.
#[derive(Serialize)]
struct ErrorFrame<'a> {
    r#type: &'static str,
    problem: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    about: &'a About,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fatal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_read_strictly() {
        let hello =
            Said::parse(br#"{"type":"hello","buffer":7,"resume":"0000000000000000000000000000ab12.12.3"}"#).unwrap();
        let resume = Resume { id: Uuid::from_u128(0xab12), head: 12, seq: 3 };
        assert_eq!(resume.word(), "0000000000000000000000000000ab12.12.3");
        assert_eq!(hello, Said::Hello { buffer: 7, resume: Some(resume), seen: vec![], explain: false });
        let told = Said::parse(br#"{"type":"hello","explain":true,"seen":["v1","v2"]}"#).unwrap();
        let seen = ["v1", "v2"].map(|id| VideoId::new(id).unwrap()).into();
        assert_eq!(told, Said::Hello { buffer: 5, resume: None, seen, explain: true });
        let many = serde_json::json!({"type": "hello", "seen": vec!["v"; MOST_SEEN + 1]}).to_string();
        assert!(Said::parse(many.as_bytes()).is_err());
        assert_eq!(Said::parse(br#"{"type":"ping"}"#).unwrap(), Said::Ping);
        assert_eq!(Said::parse(br#"{"type":"more"}"#).unwrap(), Said::More { limit: 5 });
        for wrong in [
            "{",
            "[]",
            "null",
            r#"{"type":5}"#,
            r#"{"type":"dance"}"#,
            r#"{"type":"more","limit":1000000000}"#,
            r#"{"type":"hello","resume":"x"}"#,
            r#"{"type":"hello","resume":"0000000000000000000000000000ab12.-1.2"}"#,
            r#"{"type":"hello","resume":"x.1.2"}"#,
            r#"{"type":"hello","explain":"yes"}"#,
            r#"{"type":"hello","seen":"v1"}"#,
            r#"{"type":"hello","seen":[""]}"#,
            r#"{"type":"seen"}"#,
            r#"{"type":"ping","more":1}"#,
            "{}",
        ] {
            assert!(Said::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_problem_is_a_frame() {
        let about = About::of(&Said::More { limit: 3 });
        let frame = error_frame(&Problem::invalid(Invalid::field("video", "is missing")), &about, true);
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!((&frame["type"], &frame["fatal"], &frame["status"]), (&"error".into(), &true.into(), &422.into()));
        assert_eq!((&frame["errors"][0]["field"], &frame["about"]), (&"video".into(), &"more".into()));
        let late = error_frame(&Problem::too_often("This user", std::time::Duration::from_micros(1)), &about, false);
        let late: serde_json::Value = serde_json::from_str(&late).unwrap();
        assert_eq!((&late["status"], &late["retry_ms"], late.get("fatal")), (&429.into(), &1.into(), None));
    }
}
