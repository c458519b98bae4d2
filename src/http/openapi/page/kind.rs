//! A schema in a few words, as HTML.

use serde_json::Value;

use crate::http::html::escaped;

/// How many words of a list are shown.
const SHOWN: usize = 20;

/// Whether an object has to have the field.
pub fn is_required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field))
}

/// What a schema allows.
pub fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(list) = ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array()) {
        return list.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let shown = words.iter().take(SHOWN).map(|word| format!("<code>{}</code>", escaped(&plain(word))));
        let more = if words.len() > SHOWN { format!(" and {} more", words.len() - SHOWN) } else { String::new() };
        return shown.collect::<Vec<_>>().join(" ") + &more + &otherwise(schema);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let named: Vec<String> = types.iter().map(|name| of_type(schema, name)).collect();
    named.join(" or ") + &otherwise(schema)
}

fn of_type(schema: &Value, name: &str) -> String {
    match name {
        "array" => format!("{}list of {}", range(schema, "minItems", "maxItems", " "), kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map to {}", kind(&schema["additionalProperties"]))
        }
        "string" => match schema["format"].as_str() {
            Some("date-time") => "time".to_owned(),
            Some(format) => escaped(format),
            None => format!("text{}", prefixed(range(schema, "minLength", "maxLength", " long"))),
        },
        "integer" => format!("whole number{}", prefixed(range(schema, "minimum", "maximum", ""))),
        "number" if schema["exclusiveMinimum"].is_number() => {
            format!("number over {} to {}", plain(&schema["exclusiveMinimum"]), plain(&schema["maximum"]))
        }
        "number" => format!("number{}", prefixed(range(schema, "minimum", "maximum", ""))),
        "boolean" => "true or false".to_owned(),
        other => escaped(other),
    }
}

fn prefixed(range: String) -> String {
    if range.is_empty() { range } else { format!(", {range}") }
}

/// Bounds, as `1–100`, `at least 1` or `at most 9`, and what follows them.
fn range(schema: &Value, least: &str, most: &str, then: &str) -> String {
    match (&schema[least], &schema[most]) {
        (Value::Null, Value::Null) => String::new(),
        (least, Value::Null) => format!("at least {}{then}", plain(least)),
        (Value::Null, most) => format!("at most {}{then}", plain(most)),
        (least, most) => format!("{}–{}{then}", plain(least), plain(most)),
    }
}

fn otherwise(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => String::new(),
        value => format!("; <code>{}</code> where it is left out", escaped(&plain(value))),
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => format!("{whole:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
