//! Lays a file and the environment over the defaults. The defaults hold every key, so what they lack is unknown.

use toml::{Table, Value};

use super::{ConfigError, ENVIRONMENT_PREFIX};

/// Lays the TOML `text` over `base`.
pub(super) fn file(base: &mut Table, text: &str, origin: &str) -> Result<(), ConfigError> {
    let over: Table = text
        .parse()
        .map_err(|e: toml::de::Error| ConfigError::Syntax { origin: origin.to_owned(), reason: e.to_string() })?;
    lay(base, over, "", origin)
}

/// Lays variables named `FORYOU__SECTION__KEY` over `base`. Other variables are none of ours.
pub(super) fn environment(
    base: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (variable, text) in variables {
        let Some(path) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let origin = format!("from {variable}");
        let key = path.to_lowercase().replace("__", ".");
        let (sections, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let mut table = &mut *base;
        for section in sections.split('.').filter(|s| !s.is_empty()) {
            table = match table.contains_key(section) {
                true => match table.get_mut(section) {
                    Some(Value::Table(inner)) => inner,
                    _ => return Err(wrong(&key, &origin, "a value, not a section", &text)),
                },
                false => return Err(unknown(&key, &origin, table)),
            };
        }
        let Some(slot) = table.get_mut(name) else { return Err(unknown(&key, &origin, table)) };
        *slot = read(slot, &text).ok_or_else(|| wrong(&key, &origin, kind(slot), &format!("{text:?}")))?;
    }
    Ok(())
}

fn lay(base: &mut Table, over: Table, section: &str, origin: &str) -> Result<(), ConfigError> {
    for (name, value) in over {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let Some(slot) = base.get_mut(&name) else { return Err(unknown(&key, origin, base)) };
        match (slot, value) {
            (Value::Table(inner), Value::Table(over)) => lay(inner, over, &key, origin)?,
            (slot @ Value::Float(_), Value::Integer(n)) => *slot = Value::Float(n as f64),
            (slot, value) if slot.same_type(&value) => *slot = value,
            (slot, value) => return Err(wrong(&key, origin, kind(slot), &value.to_string())),
        }
    }
    Ok(())
}

fn read(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::Table(_) | Value::Array(_) | Value::Datetime(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Table(_) => "a section",
        Value::Array(_) | Value::Datetime(_) => "a list or a time",
    }
}

fn unknown(key: &str, origin: &str, table: &Table) -> ConfigError {
    let known = table.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    ConfigError::UnknownKey { key: key.to_owned(), origin: origin.to_owned(), known }
}

fn wrong(key: &str, origin: &str, wanted: &'static str, found: &str) -> ConfigError {
    ConfigError::WrongType { key: key.to_owned(), origin: origin.to_owned(), wanted, found: found.to_owned() }
}
