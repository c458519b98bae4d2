//! `GET /openapi.json`: the OpenAPI 3.1 document, made of the table of routes, what each route says of itself ([`Spec`]), the types that
//! are answered, and the published JSON Schemas of what is read.
//!
//! Who may call, where bodies are read and what follows from that (401, 403, 413, 429, ..) is taken from the table, never said twice.

mod page;
mod spec;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{
    HttpResponse,
    http::{
        Method,
        header::{CACHE_CONTROL, ContentType},
    },
};
use serde_json::Value;
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, InfoBuilder, License, OpenApiBuilder, PathItem, PathsBuilder, Server, Tag,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

use super::{
    creators, events, feed, feed_socket, health, history, metrics, similar, trending, user, users, video, videos,
};
pub use page::{PATH as DOCS, get as docs};
pub use spec::{Group, Spec, flag, refers, text, whole, word};
pub use vocabulary::field;

/// The path of the document.
pub const PATH: &str = "/openapi.json";

const ABOUT: &str = "\
A feed server for short video. Publish videos, tell what people do with them, ask for feeds.

Ids are opaque: 1 to 128 bytes of UTF-8 without control characters, percent-encoded in a path. Times are RFC 3339 in UTC with \
milliseconds; what ends in `_ms` is a whole number of milliseconds. What is not given may be left out or `null`; unknown fields and \
parameters are refused by name.

Everything that is not what was asked for is a problem document (RFC 9457, `application/problem+json`) whose `errors` name each field. \
After 429 and 503 wait for the seconds in `Retry-After`, then send the same again: events keep their id, so none counts twice. Every \
answer has an `x-request-id`, which the server's log has too; send your own to have that one kept.

On a loopback address without any key everybody may do everything; everywhere else a request says who it comes from.";

/// Every operation of the interface for clients, by path and method, in the order in which it is read.
fn operations() -> Vec<(&'static str, Method, Spec)> {
    vec![
        ("/v1/events", Method::POST, events::spec()),
        ("/v1/users/{id}/feed", Method::GET, feed::spec()),
        ("/v1/users/{id}/feed/why", Method::GET, feed::why_spec()),
        (feed_socket::PATH, Method::GET, feed_socket::spec()),
        ("/v1/users/{id}", Method::PUT, user::put_spec()),
        ("/v1/users/{id}", Method::GET, user::get_spec()),
        ("/v1/users/{id}", Method::DELETE, user::delete_spec()),
        ("/v1/users", Method::POST, users::spec()),
        ("/v1/users/{id}/history", Method::GET, history::spec()),
        ("/v1/users/{id}/creators", Method::GET, creators::spec()),
        ("/v1/videos/{id}", Method::PUT, video::put_spec()),
        ("/v1/videos/{id}", Method::GET, video::get_spec()),
        ("/v1/videos/{id}", Method::DELETE, video::delete_spec()),
        ("/v1/videos", Method::POST, videos::spec()),
        ("/v1/videos/{id}/similar", Method::GET, similar::spec()),
        ("/v1/trending", Method::GET, trending::spec()),
        ("/healthz", Method::GET, health::healthz_spec()),
        ("/readyz", Method::GET, health::readyz_spec()),
        ("/metrics", Method::GET, metrics::spec()),
    ]
}

/// The document, as it is served.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// The document. It is the same for everybody, and says nothing of what is stored.
pub async fn get() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).insert_header((CACHE_CONTROL, "no-cache")).body(TEXT.as_str())
}

fn document() -> Value {
    let mut routes: BTreeMap<(&str, String), _> =
        super::declared().into_iter().map(|(path, method, access)| ((path, method.to_string()), access)).collect();
    let mut paths = PathsBuilder::new();
    let mut components = ComponentsBuilder::new();
    for (path, method, spec) in operations() {
        // What is not served is not described; a test says so.
        let Some(access) = routes.remove(&(path, method.to_string())) else { continue };
        let (operation, schemas) = spec.finish(path, access);
        paths = paths.path(path, PathItem::new(verb(&method), operation));
        components = components.schemas_from_iter(schemas);
    }
    for (name, response) in spec::refusals() {
        components = components.response(name, response);
    }
    let info =
        InfoBuilder::new().title("foryou").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)).license(Some({
            let mut license = License::new("Apache License 2.0");
            license.identifier = Some("Apache-2.0".to_owned());
            license
        }));
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some(Group::ALL.map(tag)))
        .paths(paths)
        .components(Some(schemes(components).build()))
        .build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.extend(vocabulary::components());
    }
    document
}

fn tag(group: Group) -> Tag {
    TagBuilder::new().name(group.name()).description(Some(group.about())).build()
}

fn verb(method: &Method) -> HttpMethod {
    match *method {
        Method::PUT => HttpMethod::Put,
        Method::POST => HttpMethod::Post,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn schemes(components: ComponentsBuilder) -> ComponentsBuilder {
    let bearer = |format: &str, about: &str| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format).description(Some(about));
        SecurityScheme::Http(http.build())
    };
    let key = bearer(
        "fy_…",
        "A server's API key; `foryou keys create` makes one. The scopes are what it needs for the operation.",
    );
    let token = bearer(
        "JWT",
        "A person's short-lived token, with `sub`, the user, and `exp`. It is good for that person's own things.",
    );
    let session = "The session of somebody who is logged in at /admin/login.";
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("foryou-admin", session)));
    components
        .security_scheme(spec::KEY, key)
        .security_scheme(spec::TOKEN, token)
        .security_scheme(spec::SESSION, session)
}
