//! Events: what a person did with a video.

use serde::{Deserialize, Serialize};

use crate::{EventId, FeedId, Invalid, Timestamp, UserId, VideoId, object, object::Object};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    /// The video was on the screen.
    Impression,
    /// It was watched for `watch_ms`.
    View,
    /// It was watched to the end.
    Finish,
    /// It was watched again.
    Rewatch,
    Like,
    Unlike,
    Comment,
    Share,
    /// The video's creator is followed.
    Follow,
    Unfollow,
    Skip,
    /// "Not interested".
    Dislike,
    Report,
    /// The video's creator is never to be shown again.
    Block,
}

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 14] = [
        Self::Impression,
        Self::View,
        Self::Finish,
        Self::Rewatch,
        Self::Like,
        Self::Unlike,
        Self::Comment,
        Self::Share,
        Self::Follow,
        Self::Unfollow,
        Self::Skip,
        Self::Dislike,
        Self::Report,
        Self::Block,
    ];
}

/// How far ahead of this server's clock an event's time may be.
pub const MAX_AHEAD_MS: i64 = 5 * 60_000;
/// The longest watch time of one view: 24 h.
pub const MAX_WATCH_MS: i64 = 86_400_000;
/// The most events of one request.
pub const MAX_BATCH: usize = 1_000;

/// One event, complete: the edge has filled in what the client left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Unique per event, however often it is delivered.
    pub id: EventId,
    /// Who.
    pub user: UserId,
    /// With which video.
    pub video: VideoId,
    /// What.
    pub kind: Kind,
    /// For how long; only with [`Kind::View`], where it is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_ms: Option<u32>,
    /// When.
    pub at: Timestamp,
    /// The feed that brought the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedId>,
    /// Its place in that feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Where in the app it happened; the same text rules as an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<Box<str>>,
}

const FIELDS: &str = "id, user, video, kind, watch_ms, at, feed, position, surface";

impl Event {
    /// Reads one event. `now` fills in and bounds `at`; `new_id` is called when the client gave no id.
    pub fn parse(json: &[u8], now: Timestamp, new_id: impl FnOnce() -> EventId) -> Result<Self, Invalid> {
        let mut o = Object::parse(json)?;
        let user = o.required("user", |raw| UserId::new(object::text(raw)?));
        Self::take(o, user, FIELDS, now, new_id)
    }

    /// Reads an event of a person who is known already (a socket's): as [`Event::parse`], without `user`.
    pub fn parse_of(
        json: &[u8],
        user: UserId,
        now: Timestamp,
        new_id: impl FnOnce() -> EventId,
    ) -> Result<Self, Invalid> {
        let mut o = Object::parse(json)?;
        o.raw("type");
        Self::take(o, Some(user), "type, id, video, kind, watch_ms, at, feed, position, surface", now, new_id)
    }

    fn take(
        mut o: Object<'_>,
        user: Option<UserId>,
        known: &str,
        now: Timestamp,
        new_id: impl FnOnce() -> EventId,
    ) -> Result<Self, Invalid> {
        let id = o.optional("id", |raw| EventId::new(object::text(raw)?));
        let video = o.required("video", |raw| VideoId::new(object::text(raw)?));
        let kind: Option<Kind> = o.required("kind", |raw| {
            object::word(raw, "a kind; known are impression, view, finish, rewatch, like, unlike, comment, share, follow, unfollow, skip, dislike, report and block")
        });
        let watch_ms = o.optional("watch_ms", |raw| object::integer(raw, 0..=MAX_WATCH_MS)).map(|ms| ms as u32);
        match kind {
            Some(Kind::View) if watch_ms.is_none() && !o.refused("watch_ms") => {
                o.refuse("watch_ms", "is missing; a view needs it, in milliseconds");
            }
            Some(kind) if kind != Kind::View && watch_ms.is_some() => {
                o.refuse("watch_ms", "belongs to kind view only; leave it out");
            }
            _ => {}
        }
        let at = o.optional("at", |raw| instant(&object::text(raw)?, now)).unwrap_or(now);
        let feed = o.optional("feed", |raw| FeedId::new(object::text(raw)?));
        let position = o.optional("position", |raw| object::integer(raw, 0..=i64::from(u32::MAX))).map(|p| p as u32);
        let surface = o.optional("surface", surface);
        let event = user.zip(video).zip(kind).map(|((user, video), kind)| Self {
            id: id.unwrap_or_else(new_id),
            user,
            video,
            kind,
            watch_ms,
            at,
            feed,
            position,
            surface,
        });
        o.finish(known, event)
    }
}

fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = Timestamp::parse(text)?;
    if at.millis() < 0 {
        return Err(format!("{at} is before 1970; give the time when it happened"));
    }
    if at > now.plus_millis(MAX_AHEAD_MS) {
        return Err(format!("{at} lies in the future (it is {now} here); check the client's clock"));
    }
    Ok(at)
}

fn surface(raw: &serde_json::value::RawValue) -> Result<Box<str>, String> {
    let text = object::text(raw)?;
    crate::id::check_id(&text).map(|()| text.as_ref().into())
}
