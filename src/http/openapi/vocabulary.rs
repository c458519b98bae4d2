//! What is read, and feeds: the published JSON Schemas, as components. They are made from the parsers' own constants and judged by the
//! fixtures, so nothing of it is described again here.

use foryou_schemas::{Country, event::MAX_BATCH, json};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema, schema::Object};

const COUNTRY: &str = "Country";

/// A published schema by its name. They are part of the binary: one that is no JSON object fails every test here.
fn published(name: &str) -> Value {
    let text = match name {
        "event" => json::EVENT,
        "user" => json::USER,
        "video" => json::VIDEO,
        _ => json::FEED,
    };
    let mut schema: Value = serde_json::from_str(text).unwrap_or_default();
    // A component is known by its place in the document.
    for key in ["$schema", "$id", "title"] {
        remove(&mut schema, key);
    }
    schema
}

/// A field of a published schema, as the schema of a parameter.
pub fn field(of: &str, name: &str) -> RefOr<Schema> {
    let mut schema = published(of)["properties"][name].take();
    if let Some(first) = schema.pointer_mut("/anyOf/0") {
        schema = first.take();
    }
    remove(&mut schema, "description");
    serde_json::from_value(schema).unwrap_or_else(|_| Object::new().into())
}

/// All of it, by the names of components.
pub fn components() -> Map<String, Value> {
    let (mut event, mut user, mut video, mut feed) =
        (published("event"), published("user"), published("video"), published("feed"));
    let kind = take(&mut event, "/properties/kind", "EventKind");
    let mut item = take(&mut feed, "/properties/items/items", "FeedItem");
    let mut explain = take(&mut item, "/properties/explain/anyOf/0", "Explain");
    // An item of a feed was found by some source; a video that is asked about may have been found by none.
    remove(&mut explain["properties"]["sources"], "minItems");
    let gender = take(&mut user, "/properties/gender/anyOf/0", "Gender");
    let status = take(&mut video, "/properties/status/anyOf/0", "VideoStatus");
    let recorded = recorded(&event);
    let parts = [
        (COUNTRY, json!({"description": "ISO 3166-1 alpha-2", "type": "string", "enum": Country::codes()})),
        ("EventKind", kind),
        ("Gender", gender),
        ("VideoStatus", status),
        ("EventBatch", batch("events", "Event")),
        ("RecordedEvent", recorded),
        ("Event", event),
        ("UserBatch", batch("users", "User")),
        ("UserProfile", without_id(&user, "A person's profile, as PUT /v1/users/{id} takes it.")),
        ("User", user),
        ("VideoBatch", batch("videos", "Video")),
        ("VideoProfile", without_id(&video, "A video, as PUT /v1/videos/{id} takes it.")),
        ("StoredVideo", stored(&video)),
        ("Video", video),
        ("Feed", feed),
        ("FeedItem", item),
        ("Explain", explain),
        ("Why", why()),
        ("Standing", standing()),
    ];
    let named = parts.into_iter().map(|(name, mut schema)| {
        if name != COUNTRY {
            share(&mut schema);
        }
        tidy(&mut schema);
        (name.to_owned(), schema)
    });
    named.collect()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn remove(schema: &mut Value, key: &str) {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove(key);
    }
}

/// Takes a part out, and leaves a reference.
fn take(schema: &mut Value, pointer: &str, name: &str) -> Value {
    let Some(place) = schema.pointer_mut(pointer) else { return Value::Null };
    let mut part = std::mem::replace(place, reference(name));
    remove(&mut part, "title");
    part
}

/// The list of countries stands once.
fn share(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let codes = Country::codes();
            let is_country = |list: &Vec<Value>| list.len() == codes.len() && list.iter().eq(codes.iter());
            if fields.get("enum").and_then(Value::as_array).is_some_and(is_country) {
                fields.remove("enum");
                fields.insert("$ref".to_owned(), reference(COUNTRY)["$ref"].take());
            }
            fields.values_mut().for_each(share);
        }
        Value::Array(items) => items.iter_mut().for_each(share),
        _ => {}
    }
}

/// What generators of clients look for: a description beside what may be null, not within it, and the type of words.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let about =
                fields.get_mut("anyOf").and_then(|list| list.get_mut(0)?.as_object_mut()?.remove("description"));
            if let Some(about) = about {
                fields.insert("description".to_owned(), about);
            }
            let words =
                fields.get("enum").and_then(Value::as_array).is_some_and(|list| list.iter().all(Value::is_string));
            if words {
                fields.insert("type".to_owned(), "string".into());
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn nullable(kind: &str, about: &str) -> Value {
    json!({"anyOf": [{"type": kind}, {"type": "null"}], "description": about})
}

/// [`foryou_schemas::Why`].
fn why() -> Value {
    object(
        "What becomes of one video in a feed that is made now and not served.",
        &json!({
            "user": {"type": "string"},
            "video": {"type": "string"},
            "release": {"type": "string", "description": "The model release; `none` while there is none."},
            "took_ms": {"type": "number", "minimum": 0},
            "degraded": {"type": "array", "items": {"type": "string"}, "description": "What fell back, and why."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many videos the feed was asked for."},
            "shown": {"type": "boolean", "description": "Whether the video is among them."},
            "stage": nullable("string", "The stage that kept it out; null where it is shown."),
            "reason": nullable("string", "Why, in a word; null where it is shown."),
            "detail": {"type": "string", "description": "The same as a sentence."},
            "position": nullable("integer", "Its place, also beyond the feed's end; null where it was not ranked."),
            "score": nullable("number", "Its score."),
            "last_score": nullable("number", "The score of the last video shown."),
            "sources": {"type": "array", "items": reference("Standing")},
            "explain": reference("Explain"),
        }),
    )
}

/// [`foryou_schemas::Standing`].
fn standing() -> Value {
    object(
        "How a video stands with a source, whether or not the source brought it.",
        &json!({
            "source": {"type": "string"},
            "found": {"type": "boolean", "description": "Whether it brought the video."},
            "rank": nullable("integer", "Its place there, from 0."),
            "score": nullable("number", "What the source orders by."),
            "brought": {"type": "integer", "minimum": 0, "description": "How many videos the source brought."},
            "detail": nullable("string", "Why it did not bring this one."),
        }),
    )
}

/// An answer, of which every field is there.
fn object(about: &str, fields: &Value) -> Value {
    let names: Vec<&String> = fields.as_object().into_iter().flat_map(Map::keys).collect();
    json!({"type": "object", "description": about, "properties": fields, "required": names})
}

fn batch(list: &str, element: &str) -> Value {
    json!({
        "type": "object",
        "properties": {list: {"type": "array", "items": reference(element), "minItems": 1, "maxItems": MAX_BATCH}},
        "required": [list],
        "additionalProperties": false,
    })
}

fn without_id(schema: &Value, about: &str) -> Value {
    let mut schema = schema.clone();
    schema["description"] = about.into();
    remove(&mut schema["properties"], "id");
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != "id");
        if required.is_empty() {
            remove(&mut schema, "required");
        }
    }
    schema
}

/// An event as it is answered: complete, and what it has not is left out.
fn recorded(event: &Value) -> Value {
    let mut event = event.clone();
    for key in ["if", "then", "else"] {
        remove(&mut event, key);
    }
    event["description"] = "An event as it was taken; what it has not is left out.".into();
    event["required"] = json!(["id", "user", "video", "kind", "at"]);
    if let Some(fields) = event["properties"].as_object_mut() {
        for schema in fields.values_mut() {
            if let Some(first) = schema.pointer_mut("/anyOf/0") {
                *schema = first.take();
            }
        }
    }
    event
}

/// A video as it is answered: with its counts, and every field there, `null` where nothing is known.
fn stored(video: &Value) -> Value {
    let mut video = video.clone();
    video["description"] = "A video as it is kept, with its counts.".into();
    video["properties"]["stats"] = reference("VideoStats");
    let names: Vec<&String> = video["properties"].as_object().into_iter().flat_map(Map::keys).collect();
    video["required"] = json!(names);
    for name in ["tags", "age_rating", "status"] {
        let field = &mut video["properties"][name];
        if let Some(first) = field.pointer_mut("/anyOf/0") {
            *field = first.take();
        }
    }
    video
}
