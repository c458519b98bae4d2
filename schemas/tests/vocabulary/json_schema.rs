//! The published JSON Schemas (2020-12): made from the same constants as the parsers, judged by the same fixtures.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p foryou-schemas json_schema` writes them anew.

use std::{fs, path::PathBuf};

use foryou_schemas::{
    Country, Kind, Language,
    event::{MAX_BATCH, MAX_WATCH_MS},
    id::MAX_ID_BYTES,
    user::{AGES, MAX_LANGUAGE_BYTES},
    video::{AGE_RATINGS, MAX_DURATION_MS, MAX_TAGS, MAX_TITLE_BYTES},
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::fixtures::{invalid, valid};

/// `fields` of an object; those in `required` must be there, the others may be null.
fn object(title: &str, description: &str, fields: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| {
            let schema =
                if required.contains(name) { schema.clone() } else { json!({"anyOf": [schema, {"type": "null"}]}) };
            ((*name).to_owned(), schema)
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:foryou:v1:{title}"),
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn id(of: &str) -> Value {
    json!({
        "description": format!("{of}; opaque, at most {MAX_ID_BYTES} bytes of UTF-8, no control characters"),
        "type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    })
}

fn integer(of: &str, from: i64, to: i64) -> Value {
    json!({"description": of, "type": "integer", "minimum": from, "maximum": to})
}

fn time(of: &str) -> Value {
    json!({"description": format!("{of}; RFC 3339"), "type": "string", "format": "date-time"})
}

fn country(of: &str) -> Value {
    json!({"description": format!("{of}; ISO 3166-1 alpha-2"), "enum": Country::codes()})
}

/// A language tag as RFC 5646 spells it: language, script, region, variants, extensions, private use; private use alone; and the irregular
/// tags that were there before it.
fn language_pattern() -> String {
    let langtag = "([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?\
                   (-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*(-[Xx](-[A-Za-z0-9]{1,8})+)?";
    let private = "[Xx](-[A-Za-z0-9]{1,8})+";
    let irregular =
        "en-GB-oed|i-(ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)|sgn-(BE-FR|BE-NL|CH-DE)";
    format!("^({langtag}|{private}|{irregular})$")
}

#[test]
fn the_pattern_of_languages_and_their_parser_agree() {
    let schema = jsonschema::validator_for(&language("")).unwrap();
    let agree = |tag: &str| assert_eq!(schema.is_valid(&json!(tag)), Language::parse(tag).is_ok(), "{tag}");
    for tag in [
        "de",
        "pt-BR",
        "zh-Hant-TW",
        "x-private",
        "en-US-u-hc-h12",
        "i-klingon",
        "sgn-BE-FR",
        "zh-min-nan",
        "sl-rozaj-biske",
        "de-1996",
        "",
        "A",
        "de-",
        "de-a",
        "a-b",
    ] {
        agree(tag);
    }
    let part = prop_oneof!["[A-Za-z0-9]{1,9}", "[a-z]{2,3}", "[A-Z]{2}", "[a-z0-9]", "x", "[0-9]{3,4}"];
    let tags = prop::collection::vec(part, 1..6).prop_map(|parts| parts.join("-"));
    TestRunner::default()
        .run(&tags, |tag| {
            agree(&tag);
            Ok(())
        })
        .unwrap();
}

fn language(of: &str) -> Value {
    json!({
        "description": format!("{of}; BCP 47"),
        "type": "string", "minLength": 1, "maxLength": MAX_LANGUAGE_BYTES, "pattern": language_pattern(),
    })
}

fn event() -> Value {
    let fields = [
        ("id", id("The event: made here where it is left out; the freshness token of a feed's `after`")),
        ("user", id("Who")),
        ("video", id("With which video")),
        ("kind", json!({"description": "What was done", "enum": Kind::ALL})),
        ("watch_ms", integer("For how long; with kind view, and only there", 0, MAX_WATCH_MS)),
        ("at", time("When; now where it is left out, and not in the future")),
        ("feed", id("The feed that brought the video")),
        ("position", integer("The video's place in that feed", 0, u32::MAX.into())),
        ("surface", id("Where in the app")),
    ];
    let about =
        format!("What a person did with a video. POST /v1/events takes one, or {{\"events\": [1 to {MAX_BATCH}]}}.");
    let mut schema = object("event", &about, &fields, &["user", "video", "kind"]);
    schema["if"] = json!({"properties": {"kind": {"const": "view"}}});
    schema["then"] = json!({"properties": {"watch_ms": {"type": "integer"}}, "required": ["watch_ms"]});
    schema["else"] = json!({"properties": {"watch_ms": {"type": "null"}}});
    schema
}

fn user() -> Value {
    let fields = [
        ("id", id("Who; in the path of PUT /v1/users/{id}")),
        ("age", integer("Years", *AGES.start(), *AGES.end())),
        ("country", country("Where the person is")),
        ("gender", json!({"description": "As told", "enum": ["female", "male", "other", "unknown"]})),
        ("language", language("What the person reads and hears")),
        ("registered_at", time("When the person joined")),
    ];
    object("user", "A person's profile, as POST /v1/users takes it.", &fields, &["id"])
}

fn video() -> Value {
    let tag = id("A short label");
    let fields = [
        ("id", id("Which; in the path of PUT /v1/videos/{id}")),
        ("creator", id("Who published it")),
        ("category", id("What it is filed under")),
        ("duration_ms", integer("Length", 1, MAX_DURATION_MS)),
        ("published_at", time("When it appeared; now where it is left out")),
        ("tags", json!({"type": "array", "items": tag, "maxItems": MAX_TAGS})),
        ("title", json!({"description": "For display", "type": "string", "maxLength": MAX_TITLE_BYTES})),
        ("language", language("What is spoken in it")),
        ("country", country("Where it comes from")),
        ("age_rating", integer("The youngest age that may see it, years", *AGE_RATINGS.start(), *AGE_RATINGS.end())),
        ("status", json!({"enum": ["live", "removed"]})),
    ];
    object("video", "A video, as POST /v1/videos takes it.", &fields, &["id", "creator", "category", "duration_ms"])
}

fn feed() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let inner = |title: &str, about: &str, fields: &[(&str, Value)], required: &[&str]| {
        let mut schema = object(title, about, fields, required);
        for key in ["$schema", "$id"] {
            schema.as_object_mut().unwrap().remove(key);
        }
        schema
    };
    let rank = [
        ("source", json!({"type": "string", "minLength": 1})),
        ("rank", integer("Its place there, from 0", 0, u32::MAX.into())),
        ("score", json!({"description": "What the source orders by", "type": "number"})),
    ];
    let rank = inner("found", "Where it stood with a source", &rank, &["source", "rank"]);
    let found = json!({"description": "Where it stood with each source", "type": "array", "items": rank});
    let explain = [
        (
            "sources",
            json!({"description": "Every source that found it", "type": "array", "items": text, "minItems": 1}),
        ),
        (
            "outcomes",
            json!({"description": "A probability per outcome, and durations that end in _ms", "type": "object", "additionalProperties": {"type": "number", "minimum": 0}}),
        ),
        ("found", found),
        (
            "worth",
            json!({"description": "What each outcome's probability, and what came on top, adds to the score", "type": "object", "additionalProperties": {"type": "number"}}),
        ),
        ("stages", texts.clone()),
    ];
    let explain = inner("explain", "Why the item stands where it stands", &explain, &["sources", "outcomes", "stages"]);
    let item = [
        ("video", id("Which")),
        ("position", integer("Its place, from 0", 0, u32::MAX.into())),
        ("score", json!({"description": "Utility as ranked", "type": "number"})),
        ("source", json!({"description": "The source that found it first", "type": "string", "minLength": 1})),
        ("explore", json!({"description": "Whether an exploration slot brought it", "type": "boolean"})),
        (
            "propensity",
            json!({"description": "The probability of this video in this slot", "type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ),
        ("creator", id("Who published it")),
        ("category", id("What it is filed under")),
        ("duration_ms", integer("Length", 1, MAX_DURATION_MS)),
        ("title", text.clone()),
        ("explain", explain),
    ];
    let mut required: Vec<&str> =
        item.iter().map(|(name, _)| *name).filter(|name| !["title", "explain"].contains(name)).collect();
    let mut item = inner("item", "One video of the feed", &item, &required);
    required.insert(9, "title");
    item["required"] = json!(required);
    let fields = [
        ("feed", id("The feed, for the events that follow from it")),
        ("user", id("Whose")),
        ("release", json!({"description": "The model release that made it; none without one", "type": "string"})),
        ("took_ms", json!({"type": "number", "minimum": 0})),
        (
            "degraded",
            json!({"description": "What fell back and why, as `stage: reason`", "type": "array", "items": text}),
        ),
        ("items", json!({"description": "Best first", "type": "array", "items": item, "maxItems": 100})),
    ];
    object(
        "feed",
        "The answer of GET /v1/users/{id}/feed.",
        &fields,
        &["feed", "user", "release", "took_ms", "degraded", "items"],
    )
}

#[test]
fn the_published_schemas_are_current() {
    for (name, schema) in [("event", event()), ("user", user()), ("video", video()), ("feed", feed())] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("json/{name}.schema.json"));
        let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(published == made, "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
    }
}

#[test]
fn schemas_and_parsers_agree_about_the_fixtures() {
    for (name, schema) in [("event", event()), ("user", user()), ("video", video()), ("feed", feed())] {
        let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        for text in valid(name) {
            let errors: Vec<String> =
                schema.iter_errors(&serde_json::from_str(&text).unwrap()).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{name} {text}: {errors:?}");
        }
        for refused in invalid(name) {
            let Ok(value) = serde_json::from_str::<Value>(refused.text()) else { continue };
            let accepts = refused.schema.as_deref() == Some("accepts");
            assert_eq!(schema.is_valid(&value), accepts, "{name} {}", refused.text());
        }
    }
}
