//! Every fixture ever written is still read, or refused for the same field.

use std::{fs, path::PathBuf};

use foryou_schemas::{
    CreatorId, Event, EventId, Explain, Feed, FeedId, FeedItem, FoundBy, Invalid, Timestamp, User, UserId, Video,
    VideoId, object,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The moment as of which fixtures are judged.
pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-24T10:00:00Z").unwrap()
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

pub fn valid(name: &str) -> Vec<String> {
    let path = folder().join(format!("{name}.valid.jsonl"));
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// What has to be refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub field: String,
    body: Option<Box<RawValue>>,
    text: Option<String>,
    pub schema: Option<String>,
}

impl Refused {
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_else(|| self.body.as_ref().unwrap().get())
    }
}

pub fn invalid(name: &str) -> Vec<Refused> {
    let path = folder().join(format!("{name}.invalid.jsonl"));
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event(json: &str) -> Result<Event, Invalid> {
    Event::parse(json.as_bytes(), now(), || EventId::from_u128(7))
}

fn judge<T: std::fmt::Debug>(name: &str, parse: impl Fn(&str) -> Result<T, Invalid>) {
    for text in valid(name) {
        parse(&text).unwrap_or_else(|why| panic!("{name} {text} was refused: {why}"));
    }
    for refused in invalid(name) {
        let text = refused.text();
        let why = parse(text).expect_err(text);
        assert!(why.errors.iter().any(|e| e.field == refused.field && !e.reason.is_empty()), "{text} -> {why:?}");
    }
}

#[test]
fn events() {
    judge("event", event);
}

#[test]
fn users() {
    judge("user", |text| User::parse_with_id(text.as_bytes()));
}

#[test]
fn videos() {
    judge("video", |text| Video::parse_with_id(text.as_bytes()));
}

#[test]
fn the_first_of_each_is_read_as_it_is_meant() {
    let read = event(&valid("event")[0]).unwrap();
    assert_eq!(
        (read.id.as_str(), read.watch_ms, read.at.to_string().as_str()),
        ("e-1", Some(5300), "2026-11-24T10:00:00.123Z")
    );
    let read = event(&valid("event")[1]).unwrap();
    assert_eq!((read.at, read.position, read.surface.as_deref()), (now(), Some(3), Some("following")));
    let read = event(&valid("event")[2]).unwrap();
    assert_eq!((read.at, read.id), (now(), EventId::from_u128(7)));
    let (_, user) = User::parse_with_id(valid("user")[1].as_bytes()).unwrap();
    assert_eq!((user.age, user.country.unwrap().as_str(), user.language.unwrap().as_str()), (Some(27), "DE", "de"));
    let (_, video) = Video::parse_with_id(valid("video")[1].as_bytes()).unwrap();
    assert_eq!((video.title.as_deref(), video.tags.len()), (Some("Pâté à choux ☕"), 2));
}

#[test]
fn every_problem_of_a_body_is_named_at_once() {
    let why = event(r#"{"user": 7, "video": "", "kind": "teleport", "at": "yesterday", "surprise": 1}"#).unwrap_err();
    let fields: Vec<&str> = why.errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(fields, ["user", "video", "kind", "at", "surprise"]);
}

#[test]
fn a_socket_event_has_a_type_and_no_user() {
    let user = UserId::new("u1").unwrap();
    let parse = |text: &str| Event::parse_of(text.as_bytes(), user.clone(), now(), || EventId::from_u128(7));
    let read = parse(r#"{"type": "event", "video": "v9", "kind": "like"}"#).unwrap();
    assert_eq!((read.user, read.video.as_str()), (user.clone(), "v9"));
    let why = parse(r#"{"type": "event", "user": "u2", "video": "v9", "kind": "like"}"#).unwrap_err();
    assert_eq!(why.errors[0].field, "user");
}

#[test]
fn a_batch_has_one_to_a_thousand_elements_and_nothing_else() {
    let one = r#"{"user": "u", "video": "v", "kind": "like"}"#;
    let many = |n: usize| format!(r#"{{"events": [{}]}}"#, vec![one; n].join(","));
    for (text, count) in [(many(1), Some(1)), (many(1000), Some(1000)), (many(1001), None), (many(0), None)] {
        assert_eq!(object::batch(text.as_bytes(), "events", 1000).ok().map(|list| list.len()), count);
    }
    let deep = "[".repeat(100_000);
    for text in [
        r#"{"events": 5}"#,
        r#"{"events": null}"#,
        r#"{"events": [1], "more": 1}"#,
        r#"{"events": {}}"#,
        "{}",
        "[]",
        &deep,
    ] {
        assert!(object::batch(text.as_bytes(), "events", 1000).is_err(), "{text:.40}");
    }
}

#[test]
fn hostile_bodies_are_refused_in_few_words() {
    let wide: String = (0..200_000).map(|n| format!(r#""{n}":1,"#)).collect();
    let long = "a".repeat(1_000_000);
    for body in [
        b"\xff\xfe{\"a\":1}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        "{\"user\":".repeat(100_000).into_bytes(),
        format!(r#"{{"user": {}}}"#, "[".repeat(100_000) + &"]".repeat(100_000)).into_bytes(),
        format!(r#"{{{wide}"user":"u","video":"v","kind":"like"}}"#).into_bytes(),
        format!(r#"{{"x":"{long}"}}"#).into_bytes(),
        format!(r#"{{"{long}":1}}"#).into_bytes(),
        format!(r#"{{"user":"u","video":"v","kind":"{long}","at":"{long}","id":"{long}"}}"#).into_bytes(),
    ] {
        let why = Event::parse(&body, now(), || EventId::from_u128(7)).unwrap_err();
        assert!(why.to_string().len() < 2_000, "{:.200}", why.to_string());
    }
    for field in ["country", "language", "registered_at", "gender", "age"] {
        let why = User::parse(format!(r#"{{"{field}":"{long}"}}"#).as_bytes()).unwrap_err();
        assert!(why.errors[0].field == field && why.to_string().len() < 500, "{:.200}", why.to_string());
    }
}

#[test]
fn a_feed_is_written_as_its_fixtures_say() {
    let item = |video: &str| FeedItem {
        video: VideoId::new(video).unwrap(),
        position: 0,
        score: 0.5,
        source: "two_tower",
        explore: false,
        propensity: 1.0,
        creator: CreatorId::new("c4").unwrap(),
        category: "cooking".into(),
        duration_ms: 15_300,
        title: None,
        explain: None,
    };
    let feed = Feed {
        feed: FeedId::new("f-78").unwrap(),
        user: UserId::new("u1").unwrap(),
        release: "2026-11-24T0900-3f2a".into(),
        took_ms: 2.5,
        degraded: Vec::new(),
        items: vec![item("v3")],
    };
    let explain = Explain {
        sources: vec!["similar", "trending"],
        found: Vec::new(),
        outcomes: [("long_view", 0.5), ("like", 0.25), ("watch_ms", 9_000.0)]
            .map(|(name, p)| (name.to_owned(), p))
            .into(),
        worth: Default::default(),
        stages: vec!["ranked first".into()],
    };
    let whole = Explain {
        found: vec![
            FoundBy { source: "similar", rank: 3, score: Some(0.75) },
            FoundBy { source: "trending", rank: 0, score: None },
        ],
        worth: [("long_view", 0.5), ("like", 0.75), ("creator_fatigue", -0.75)]
            .map(|(name, adds)| (name.to_owned(), adds))
            .into(),
        ..explain.clone()
    };
    let second = FeedItem {
        position: 1,
        explore: true,
        propensity: 0.25,
        title: Some("Soup".into()),
        explain: Some(explain),
        ..item("v4")
    };
    let fell_back = vec!["ranker: timeout".into(), "after: not applied in 250 ms".into()];
    let feeds = [
        feed.clone(),
        Feed { release: "none".into(), degraded: fell_back, items: Vec::new(), ..feed.clone() },
        Feed { items: vec![item("v3"), second], ..feed.clone() },
        Feed { items: vec![FeedItem { explain: Some(whole), ..item("v3") }], ..feed },
    ];
    for (feed, fixture) in feeds.iter().zip(valid("feed")) {
        assert_eq!(serde_json::to_value(feed).unwrap(), serde_json::from_str::<Value>(&fixture).unwrap());
    }
}
