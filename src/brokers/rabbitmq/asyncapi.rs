//! The published AsyncAPI document of this interface, next to the JSON Schemas: `UPDATE_SCHEMAS=1 cargo test --lib asyncapi` writes it
//! anew.

use std::{fs, path::Path};

use foryou_actors::ports::bus::PARTITIONS;
use foryou_schemas::event::MAX_BATCH;
use serde_json::{Value, json};

use super::{NODE, routing_key, topology::Topology};
use crate::config::Config;

const ROUTING: &str = "\
The routing key is the person's partition: `p`, then FNV-1a (64 bit) of the UTF-8 bytes of `user` modulo the number of partitions \
(`bus.partitions`), in decimal with at least two digits. All events of a person go through one queue, in the order in which they were \
published. To check an implementation: of 64 partitions `ann` is in `p56`, `zoë` in `p28`, `用户` in `p57`; of 128, `u1` is in `p115`. \
An event under another partition's key goes into quarantine.";

const CONFIRMS: &str = "\
Turn publisher confirms on, set `mandatory` and delivery mode 2, give each event an `id`, and keep it until it is confirmed. A returned \
message had a routing key that no queue has. A nack means that the partition is full: wait, then publish the same event with the same id \
again, and those behind it. What comes twice is applied once.";

fn exchange(name: &str, kind: &str) -> Value {
    json!({"amqp": {
        "is": "routingKey",
        "exchange": {"name": name, "type": kind, "durable": true, "autoDelete": false, "vhost": "/"},
        "bindingVersion": "0.3.0",
    }})
}

fn queue(name: &str) -> Value {
    json!({"amqp": {
        "is": "queue",
        "queue": {"name": name, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/"},
        "bindingVersion": "0.3.0",
    }})
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("./{name}.schema.json")})
}

fn document() -> Value {
    let config = Config::default();
    let name = &config.bus.rabbitmq.name;
    let topology = Topology::new(&config.bus);
    let partition = json!({
        "description": format!("The person's partition. {ROUTING}"),
        "examples": [routing_key(0), routing_key(PARTITIONS - 1)],
    });
    let persistent = json!({"amqp": {"deliveryMode": 2, "mandatory": true, "ack": true, "bindingVersion": "0.3.0"}});
    let headers = json!({
        "type": "object",
        "description": "Those of foryou; what the broker itself put aside after `bus.rabbitmq.delivery_limit` deliveries has `x-death` instead.",
        "properties": {
            "x-foryou-reason": {"type": "string", "description": "Why it can never be applied"},
            "x-foryou-partition": {"type": "integer", "minimum": 0, "description": "The partition that it came through"},
            "x-foryou-deliveries": {"type": "integer", "minimum": 1, "description": "How often it was delivered"},
            "x-foryou-at": {"type": "string", "format": "date-time", "description": "When it was put here"},
        },
    });
    let node = json!({
        "type": "object",
        "properties": {NODE: {
            "type": "string",
            "description": "The node that has the videos in the store already; only nodes of foryou set it",
        }},
    });
    let videos = json!({
        "type": "object",
        "properties": {"videos": {"type": "array", "items": schema("video"), "minItems": 1, "maxItems": MAX_BATCH}},
        "required": ["videos"],
        "additionalProperties": false,
    });
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "foryou on RabbitMQ",
            "version": "1",
            "description": format!(
                "What foryou takes and gives at a broker, with the default names: exchanges and queues begin with `bus.rabbitmq.name` \
                 (`{name}`). `foryou migrate` declares them. Example producers: examples/producers."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": {
            "host": "localhost:5672",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "RabbitMQ 3.10 or newer; amqps with TLS",
            "security": [{"$ref": "#/components/securitySchemes/user"}],
        }},
        "channels": {
            "events": {
                "address": "{partition}",
                "title": "Events",
                "description": "What people do with videos, one event a message.",
                "parameters": {"partition": partition},
                "messages": {"event": {"$ref": "#/components/messages/event"}},
                "bindings": exchange(topology.events().as_str(), "topic"),
            },
            "catalogue": {
                "address": "",
                "title": "Catalogue",
                "description": "New and changed videos, for every node.",
                "messages": {
                    "video": {"$ref": "#/components/messages/video"},
                    "videos": {"$ref": "#/components/messages/videos"},
                },
                "bindings": exchange(topology.catalogue().as_str(), "fanout"),
            },
            "quarantine": {
                "address": topology.quarantine().as_str(),
                "title": "Quarantine",
                "description": "Events that can never be applied, as they came; `foryou quarantine` shows them.",
                "messages": {"refused": {"$ref": "#/components/messages/refused"}},
                "bindings": queue(topology.quarantine().as_str()),
            },
        },
        "operations": {
            "receiveEvents": {
                "action": "receive",
                "channel": {"$ref": "#/channels/events"},
                "title": "Takes events",
                "description": CONFIRMS,
                "bindings": persistent,
            },
            "receiveCatalogue": {
                "action": "receive",
                "channel": {"$ref": "#/channels/catalogue"},
                "title": "Takes videos",
                "description": "Publish with confirms and delivery mode 2.",
                "bindings": persistent,
            },
            "announceCatalogue": {
                "action": "send",
                "channel": {"$ref": "#/channels/catalogue"},
                "title": "Tells the other nodes of videos that came over REST",
            },
            "quarantine": {
                "action": "send",
                "channel": {"$ref": "#/channels/quarantine"},
                "title": "Puts aside what can never be applied",
            },
        },
        "components": {
            "securitySchemes": {"user": {"type": "userPassword"}},
            "messages": {
                "event": {
                    "title": "Event",
                    "contentType": "application/json",
                    "payload": schema("event"),
                    "examples": [{"payload": {
                        "id": "e-1", "user": "u1", "video": "v9", "kind": "view", "watch_ms": 5_300, "at": "2026-11-24T10:00:00.123Z",
                    }}],
                },
                "video": {
                    "title": "A video",
                    "contentType": "application/json",
                    "headers": node,
                    "payload": schema("video"),
                    "examples": [{"payload": {"id": "v9", "creator": "c1", "category": "cooking", "duration_ms": 15_300}}],
                },
                "videos": {
                    "title": "Several videos",
                    "contentType": "application/json",
                    "headers": node,
                    "payload": videos,
                },
                "refused": {
                    "title": "A refused event",
                    "headers": headers,
                    "payload": {"description": "The bytes as they were published"},
                },
            },
        },
    })
}

#[test]
fn the_published_asyncapi_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/json/asyncapi.json");
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == made, "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
}

#[test]
fn the_asyncapi_document_names_schemas_that_exist() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.push(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 5);
    for reference in found {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
            None => assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/json").join(&reference).is_file(),
                "{reference}"
            ),
        }
    }
}
