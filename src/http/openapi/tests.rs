//! The document is whole, is what the table says, and is the one that is published.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{DOCUMENT, TEXT, operations};

/// What is served and is no interface for clients: pages, what they are made of, what nodes say to each other, and this document.
fn is_for_clients(path: &str) -> bool {
    let own = ["/", super::PATH, "/docs"];
    let below = ["/admin", "/assets/", "/internal/", "/demo"];
    !(own.contains(&path) || below.iter().any(|prefix| path.starts_with(prefix)))
}

fn described() -> BTreeSet<(String, String)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let methods = |(path, item): (&String, &Value)| {
        let path = path.clone();
        item.as_object().unwrap().keys().map(move |method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

#[test]
fn every_route_for_clients_is_described_and_nothing_else() {
    let routes = crate::http::declared().into_iter().filter(|(path, ..)| is_for_clients(path));
    let served: BTreeSet<_> = routes.map(|(path, method, _)| (path.to_owned(), method.to_string())).collect();
    assert_eq!(described(), served, "describe new routes in src/http/openapi.rs");
    assert_eq!(operations().len(), served.len());
}

#[test]
fn what_is_referred_to_is_there_and_what_is_there_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&DOCUMENT, &mut found);
    for reference in &found {
        assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in DOCUMENT["components"][kind].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/{kind}/{name}")), "{name} is not used");
        }
    }
}

#[test]
fn operations_have_a_name_of_their_own() {
    let items = DOCUMENT["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let names: Vec<&str> = items.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

#[test]
fn bounds_are_those_of_the_parsers() {
    let parameter = |path: &str, name: &str| {
        let all = DOCUMENT["paths"][path]["get"]["parameters"].as_array().unwrap();
        all.iter().find(|parameter| parameter["name"] == name).unwrap()["schema"].clone()
    };
    let id = parameter("/v1/users/{id}", "id");
    assert_eq!((&id["minLength"], &id["maxLength"]), (&1.into(), &foryou_schemas::id::MAX_ID_BYTES.into()));
    assert_eq!(parameter("/v1/trending", "category"), id);
    assert_eq!(parameter("/v1/users/{id}/feed", "after"), id);
}

/// `UPDATE_SCHEMAS=1 cargo test --lib openapi` writes it anew.
#[test]
fn the_published_openapi_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/json/openapi.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, TEXT.as_str()).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == *TEXT, "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
}
