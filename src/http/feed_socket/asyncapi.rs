//! The published AsyncAPI document of the feed socket, beside the JSON Schemas, of which it is made: `UPDATE_SCHEMAS=1 cargo test --lib
//! asyncapi` writes it anew. Its examples are what the types here write and read.

use std::{fs, path::Path};

use foryou_schemas::Invalid;
use jsonschema::Validator;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    messages::{About, Because, Cause, MOST_ITEMS, MOST_SEEN, Said, Says, error_frame},
    open::Ended,
    subscription::Resume,
};
use crate::{config::Config, error::Problem, http::results::Status};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/json")
}

fn published(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

/// A message of this type, with these fields; a client's has no others.
fn message(kind: &str, title: &str, fields: &Value, required: &[&str], strict: bool, examples: &[Value]) -> Value {
    let mut payload = json!({"type": "object", "properties": fields});
    payload["properties"]["type"] = json!({"const": kind});
    payload["required"] = ["type"].iter().chain(required).copied().collect();
    if strict {
        payload["additionalProperties"] = false.into();
    }
    let examples: Vec<Value> = examples.iter().map(|example| json!({"payload": example})).collect();
    json!({"title": title, "contentType": "application/json", "payload": payload, "examples": examples})
}

fn read(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap()
}

fn resume() -> Resume {
    Resume { id: Uuid::from_u128(0x0193_6b2c_7d4e_7000_8a1b_2c3d_4e5f_6071), head: 4, seq: 2 }
}

/// What a client says.
fn client() -> Vec<(&'static str, Value)> {
    let video = published("event.schema.json")["properties"]["video"].clone();
    let items = json!({"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": 5});
    let word =
        json!({"type": "string", "description": "Of a `welcome` or a `feed`: goes on where that subscription was"});
    let explain =
        json!({"type": "boolean", "default": false, "description": "Whether each item of a feed tells its story"});
    let seen = json!({"type": "array", "items": video, "maxItems": MOST_SEEN,
        "description": "What was watched while the connection was away: it is in no tail from now on. `seen` or an event of each makes it known for good"});
    let mut event = published("event.schema.json")["properties"].clone();
    event.as_object_mut().unwrap().remove("user");
    let hello = json!({"type": "hello", "buffer": 5, "resume": resume().word()});
    let liked = json!({"type": "event", "id": "e-1", "video": "v9", "kind": "like"});
    vec![
        (
            "hello",
            message(
                "hello",
                "The first word",
                &json!({"buffer": items, "resume": word, "seen": seen, "explain": explain}),
                &[],
                true,
                &[hello],
            ),
        ),
        (
            "event",
            message(
                "event",
                "Something happened: an event without its user",
                &event,
                &["video", "kind"],
                true,
                &[liked],
            ),
        ),
        (
            "seen",
            message(
                "seen",
                "How far the person is",
                &json!({"video": video}),
                &["video"],
                true,
                &[json!({"type": "seen", "video": "v3"})],
            ),
        ),
        (
            "more",
            message(
                "more",
                "More videos behind the tail",
                &json!({"limit": items}),
                &[],
                true,
                &[json!({"type": "more", "limit": 5})],
            ),
        ),
        ("ping", message("ping", "Is anybody there?", &json!({}), &[], true, &[json!({"type": "ping"})])),
    ]
}

/// What the server says. More fields may come.
fn server() -> Vec<(&'static str, Value)> {
    let (number, text) = (json!({"type": "integer", "minimum": 0}), json!({"type": "string"}));
    let items = published("feed.schema.json")["properties"]["items"].clone();
    let causes = Cause::ALL.map(Cause::word);
    let because = json!({
        "type": "object",
        "properties": {"kind": {"enum": causes}, "id": {"type": "string", "description": "The event, release or video"}},
        "required": ["kind"],
    });
    let statuses = [Status::Accepted, Status::Duplicate, Status::Rejected];
    let errors = json!({"type": "array", "items": {
        "type": "object",
        "properties": {"field": text, "reason": text},
        "required": ["field", "reason"],
    }});
    let took_ms = json!({"type": "number", "minimum": 0, "description": "How long the server took to make it"});
    let heartbeat_ms = Config::default().sockets.heartbeat_ms.millis().as_millis() as u64;
    let welcome = Says::Welcome { resume: resume().word(), heartbeat_ms }.frame();
    let start = Because { kind: Cause::Event, id: Some("e-1".into()) };
    let feed =
        Says::Feed { seq: 2, from: 4, took_ms: 1.9, items: &[], because: &start, resume: resume().word() }.frame();
    let ack = Says::Ack { id: "e-1", status: Status::Accepted }.frame();
    let about = About { id: Some("e-1".into()), ..About::of(&Said::Event(b"{}")) };
    let late = error_frame(&Problem::too_often("This user", std::time::Duration::from_millis(40)), &about, false);
    let wrong = error_frame(&Invalid::field("video", "is missing").into(), &About::default(), false);
    let bye = Says::Bye { reason: Ended::Stops.reason(), retry_ms: 700 }.frame();
    vec![
        (
            "welcome",
            message(
                "welcome",
                "The answer to hello",
                &json!({"resume": text, "heartbeat_ms": number}),
                &["resume", "heartbeat_ms"],
                false,
                &[read(&welcome)],
            ),
        ),
        (
            "feed",
            message(
                "feed",
                "Replaces everything from position `from` on; positions count over the whole subscription",
                &json!({"seq": number, "from": number, "took_ms": took_ms, "items": items, "because": because, "resume": text}),
                &["seq", "from", "took_ms", "items", "because", "resume"],
                false,
                &[read(&feed)],
            ),
        ),
        (
            "ack",
            message(
                "ack",
                "What became of an event; accepted means durable",
                &json!({"id": text, "status": {"enum": statuses}}),
                &["id", "status"],
                false,
                &[read(&ack)],
            ),
        ),
        ("pong", message("pong", "The answer to ping", &json!({}), &[], false, &[read(&Says::Pong.frame())])),
        (
            "error",
            message(
                "error",
                "A message was not acted on: a problem document (RFC 9457), its type in `problem`; after a fatal one the socket ends",
                &json!({
                    "problem": text, "title": text, "status": {"type": "integer", "minimum": 400, "maximum": 599}, "detail": text, "errors": errors,
                    "about": {"enum": ["hello", "event", "seen", "more", "ping"], "description": "The type of the message"},
                    "id": {"type": "string", "description": "The event's id, where the client gave one"},
                    "video": {"type": "string", "description": "The video that was seen"},
                    "retry_ms": {"type": "integer", "minimum": 1, "description": "After how long the same may be said again"},
                    "fatal": {"type": "boolean", "default": false},
                }),
                &["problem", "title", "status", "detail"],
                false,
                &[read(&late), read(&wrong)],
            ),
        ),
        (
            "bye",
            message(
                "bye",
                "The last word, before the close frame",
                &json!({"reason": text, "retry_ms": number}),
                &["reason", "retry_ms"],
                false,
                &[read(&bye)],
            ),
        ),
    ]
}

fn document() -> Value {
    let settings = Config::default().sockets;
    let (frame_kb, unread_kb) = (settings.frame_limit_kb.count(), settings.unread_kb.count());
    let names = |messages: &[(&str, Value)]| -> Vec<Value> {
        messages.iter().map(|(name, _)| json!({"$ref": format!("#/channels/feed/messages/{name}")})).collect()
    };
    let (client, server) = (client(), server());
    let channel: serde_json::Map<String, Value> = client
        .iter()
        .chain(&server)
        .map(|(name, _)| ((*name).to_owned(), json!({"$ref": format!("#/components/messages/{name}")})))
        .collect();
    let (said, heard) = (names(&client), names(&server));
    let messages: serde_json::Map<String, Value> =
        client.into_iter().chain(server).map(|(name, message)| (name.to_owned(), message)).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "foryou's feed socket",
            "version": "1",
            "description": format!(
                "A feed that stays fresh. One JSON object a message, at most {frame_kb} KiB from a client (`sockets.frame_limit_kb`). Pings of \
                 the protocol carry how much was sent before them: a client that does not answer them reads too slowly, gets no new tail \
                 until it has read what it has, then the newest, and is let go after `sockets.send_timeout_ms` or {unread_kb} KiB."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"node": {"host": "localhost:8080", "protocol": "ws", "description": "Any node; wss with TLS"}},
        "channels": {"feed": {
            "address": super::PATH,
            "title": "A person's feed",
            "description": "Where callers are checked: a person's token or a server's key as `Authorization: Bearer ..`, or as `access_token`.",
            "messages": channel,
            "bindings": {"ws": {
                "method": "GET",
                "query": {
                    "type": "object",
                    "properties": {
                        "user": {"type": "string", "description": "Whose feed; a token says it itself"},
                        "surface": {"type": "string"},
                        "country": {"type": "string"},
                        "access_token": {"type": "string"},
                    },
                    "additionalProperties": false,
                },
                "bindingVersion": "0.1.0",
            }},
        }},
        "operations": {
            "hear": {"action": "receive", "channel": {"$ref": "#/channels/feed"}, "title": "What a client says", "messages": said},
            "say": {"action": "send", "channel": {"$ref": "#/channels/feed"}, "title": "What the server says", "messages": heard},
        },
        "components": {"messages": messages},
    })
}

fn validator(message: &Value) -> Validator {
    jsonschema::validator_for(&message["payload"]).unwrap()
}

#[test]
fn the_published_asyncapi_document_of_the_socket_is_current() {
    let path = folder().join("feed-socket.asyncapi.json");
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
}

#[test]
fn what_the_socket_reads_and_writes_is_what_the_document_says() {
    for (name, message) in client().iter().chain(&server()) {
        let examples = message["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let errors: Vec<String> =
                validator(message).iter_errors(&example["payload"]).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
    for (name, message) in client() {
        let example = &message["examples"][0]["payload"];
        let bytes = example.to_string();
        assert!(Said::parse(bytes.as_bytes()).is_ok(), "{bytes}");
        let mut odd = example.clone();
        odd["surprise"] = 1.into();
        assert!(!validator(&message).is_valid(&odd), "{name}");
        if name != "event" {
            // An event's fields are read where its person is known.
            assert!(Said::parse(odd.to_string().as_bytes()).is_err(), "{odd}");
        }
    }
    let more = client().into_iter().find(|(name, _)| *name == "more").unwrap().1;
    for limit in [0, MOST_ITEMS + 1] {
        let said = json!({"type": "more", "limit": limit});
        assert!(!validator(&more).is_valid(&said) && Said::parse(said.to_string().as_bytes()).is_err());
    }
}
