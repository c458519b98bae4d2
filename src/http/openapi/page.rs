//! `GET /docs`: the document as a page. It is written once, from the document itself: no script, nothing from elsewhere.

mod kind;

use std::{fmt::Write as _, sync::LazyLock};

use actix_web::{HttpResponse, http::header::CACHE_CONTROL};
use serde_json::Value;

use super::{DOCUMENT, Group, operations};
use crate::http::html::{Head, escaped};
use kind::{is_required, kind};

/// The path of the page.
pub const PATH: &str = "/docs";

const HEAD: Head = Head {
    title: "foryou API",
    styles: &["/assets/shared/tokens.css", "/assets/docs/docs.css"],
    script: None,
    covers: false,
};

static PAGE: LazyLock<String> = LazyLock::new(|| page(&DOCUMENT));

/// The page.
pub async fn get() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(PAGE.as_str())
}

/// An operation, and where it is.
struct Entry<'a> {
    path: &'static str,
    method: String,
    operation: &'a Value,
}

fn page(document: &Value) -> String {
    let entry = |(path, method, _): (&'static str, actix_web::http::Method, _)| {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        Entry { path, method: method.to_string(), operation }
    };
    let entries: Vec<Entry<'_>> = operations().into_iter().map(entry).collect();
    let of = |group: Group| entries.iter().filter(move |entry| entry.operation["tags"][0] == group.name());
    let mut html = HEAD.html();
    html += &include_str!("page/head.html").replace("{version}", text(&document["info"]["version"]));
    for group in Group::ALL {
        _ = write!(html, "<h2>{}</h2><ul>", capital(group.name()));
        for Entry { method, operation, .. } in of(group) {
            let (id, summary) = (text(&operation["operationId"]), escaped(text(&operation["summary"])));
            _ = write!(html, "<li><a href=\"#{id}\">{}<span>{summary}</span></a></li>", verb(method));
        }
        html += "</ul>";
    }
    html += include_str!("page/main.html");
    html += &prose(text(&document["info"]["description"]));
    html += "</header><section><h2 id=\"access\">Who asks</h2><div class=\"rows\">";
    for (name, scheme) in fields(&document["components"]["securitySchemes"]) {
        let how = match (&scheme["in"], &scheme["bearerFormat"]) {
            (Value::String(place), _) => format!("{place} <code>{}</code>", escaped(text(&scheme["name"]))),
            (_, format) => format!("<code>Authorization: Bearer {}</code>", escaped(text(format))),
        };
        row(&mut html, name, false, &how, text(&scheme["description"]));
    }
    html += "</div></section>";
    for group in Group::ALL {
        _ = write!(html, "<section><h2>{}</h2><p class=\"lead\">{}</p>", capital(group.name()), group.about());
        of(group).for_each(|entry| describe(&mut html, entry));
        html += "</section>";
    }
    html += "<section><h2 id=\"schemas\">Schemas</h2>";
    for (name, schema) in fields(&document["components"]["schemas"]) {
        _ = write!(html, "<article class=\"card\" id=\"schema-{name}\"><h3>{name}</h3>");
        html += &prose(text(&schema["description"]));
        match schema["properties"].is_object() {
            true => {
                html += "<div class=\"rows\">";
                for (field, of) in fields(&schema["properties"]) {
                    row(&mut html, field, is_required(schema, field), &kind(of), text(&of["description"]));
                }
                html += "</div>";
            }
            false => _ = write!(html, "<p class=\"kind\">{}</p>", kind(schema)),
        }
        html += "</article>";
    }
    html + "</section></main></div></body></html>\n"
}

/// One operation: what it takes, what it answers.
fn describe(html: &mut String, Entry { path, method, operation }: &Entry<'_>) {
    let (id, summary) = (text(&operation["operationId"]), escaped(text(&operation["summary"])));
    _ = write!(
        html,
        "<article class=\"card\" id=\"{id}\"><h3>{summary} <a class=\"self\" href=\"#{id}\" aria-label=\"Link to {summary}\">#</a></h3>"
    );
    _ = write!(html, "<p class=\"address\">{}<code>{}</code></p>", verb(method), escaped(path));
    *html += &prose(text(&operation["description"]));
    let who = who(operation);
    if !who.is_empty() {
        _ = write!(html, "<p class=\"who\">For {}.</p>", who.join(", or "));
    }
    if let Some(parameters) = operation["parameters"].as_array() {
        *html += "<h4>Parameters</h4><div class=\"rows\">";
        let (path, query): (Vec<&Value>, Vec<&Value>) =
            parameters.iter().partition(|parameter| parameter["in"] == "path");
        for parameter in path.into_iter().chain(query) {
            let place = text(&parameter["in"]);
            let of = format!("{} <span class=\"place\">{place}</span>", kind(&parameter["schema"]));
            row(html, text(&parameter["name"]), parameter["required"] == true, &of, text(&parameter["description"]));
        }
        *html += "</div>";
    }
    let body = &operation["requestBody"];
    let example = body.pointer("/content/application~1json/example");
    if let Some(schema) = body.pointer("/content/application~1json/schema") {
        _ = write!(
            html,
            "<h4>Body</h4><p>{}: <span class=\"kind\">{}</span></p>",
            escaped(text(&body["description"])),
            kind(schema)
        );
    }
    _ = write!(
        html,
        "<pre tabindex=\"0\" aria-label=\"Example\"><code>{}</code></pre>",
        escaped(&call(path, method, example))
    );
    *html += "<h4>Answers</h4><div class=\"rows\">";
    let (mut told, mut refused) = (String::new(), String::new());
    for (status, response) in fields(&operation["responses"]) {
        match text(&response["$ref"]).rsplit('/').next().filter(|name| !name.is_empty()) {
            Some(name) => {
                let about = &DOCUMENT["components"]["responses"][name]["description"];
                _ = write!(refused, "<li><b>{status}</b> {}</li>", inline(text(about)));
            }
            None => {
                let kinds: Vec<String> =
                    fields(&response["content"]).map(|(media, content)| media_kind(media, content)).collect();
                row(&mut told, status, false, &kinds.join(" or "), text(&response["description"]));
            }
        }
    }
    _ = write!(
        html,
        "{told}</div><details><summary>Refusals</summary><p>Each is a <a href=\"#schema-Problem\">Problem</a>.</p><ul>{refused}</ul></details></article>"
    );
}

fn media_kind(media: &str, content: &Value) -> String {
    match media {
        "application/json" => kind(&content["schema"]),
        _ => format!("<code>{}</code>", escaped(media)),
    }
}

/// Who may call, in words.
fn who(operation: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (name, scopes) in operation["security"].as_array().into_iter().flatten().flat_map(fields) {
        let scope = scopes[0].as_str().map(|scope| format!(" with the scope <code>{scope}</code>")).unwrap_or_default();
        all.push(match name {
            "key" => format!("servers, with a <a href=\"#access\">key</a>{scope}"),
            "token" => "the person, with a <a href=\"#access\">token</a>".to_owned(),
            _ => "whoever is logged in at the console".to_owned(),
        });
    }
    all
}

/// The operation as a command.
fn call(path: &str, method: &str, example: Option<&Value>) -> String {
    let id = if path.contains("/videos/") { "v1" } else { "u1" };
    let path = path.replace("{id}", id);
    let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
    let body = example
        .map_or_else(String::new, |body| format!(" \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"));
    format!("curl {method}localhost:8080{path}{body}")
}

fn row(html: &mut String, name: &str, required: bool, kind: &str, about: &str) {
    let required = if required { " <span class=\"required\">required</span>" } else { "" };
    let (name, about) = (escaped(name), inline(about));
    _ = write!(
        html,
        "<div class=\"row\"><p><b>{name}</b>{required}</p><p class=\"kind\">{kind}</p><p class=\"about\">{about}</p></div>"
    );
}

fn verb(method: &str) -> String {
    format!("<b class=\"verb\" data-verb=\"{method}\">{method}</b>")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Paragraphs.
fn prose(text: &str) -> String {
    text.split("\n\n").filter(|part| !part.is_empty()).map(|part| format!("<p>{}</p>", inline(part))).collect()
}

/// A line in which what stands between backticks is code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_schema_has_its_place_and_every_link_leads_somewhere() {
        let page = page(&DOCUMENT);
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for (path, method, _) in operations() {
            let operation = &DOCUMENT["paths"][path][method.as_str().to_lowercase()];
            assert!(ids.contains(&text(&operation["operationId"])), "{path}");
        }
        for (name, _) in fields(&DOCUMENT["components"]["schemas"]) {
            assert!(ids.contains(&format!("schema-{name}").as_str()), "{name}");
        }
        for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(ids.contains(&link), "{link}");
        }
        assert!(
            !page.contains("http://")
                && !page.contains("https://")
                && !page.contains("<script")
                && !page.contains("style=")
        );
    }

    #[test]
    fn what_the_document_says_is_text_and_not_markup() {
        assert_eq!(inline("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
        assert_eq!(prose("one\n\ntwo"), "<p>one</p><p>two</p>");
    }
}
