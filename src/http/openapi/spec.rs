//! What a route says of itself, and what follows from where it stands in the table.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
        path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{Object, ObjectBuilder, SchemaType, Type},
        security::SecurityRequirement,
    },
};

use super::vocabulary::field;
use crate::{
    access::{Access, Scope},
    error,
    http::input,
};

/// The names of the ways to say who one is.
pub const KEY: &str = "key";
/// A person's token.
pub const TOKEN: &str = "token";
/// A session of the console.
pub const SESSION: &str = "session";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What people do.
    Events,
    /// What they are shown.
    Feeds,
    /// Who they are.
    People,
    /// What there is.
    Videos,
    /// How the server is.
    Operations,
}

impl Group {
    /// In the order in which they are read.
    pub const ALL: [Self; 5] = [Self::Events, Self::Feeds, Self::People, Self::Videos, Self::Operations];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Feeds => "feeds",
            Self::People => "people",
            Self::Videos => "videos",
            Self::Operations => "operations",
        }
    }

    /// What is in it.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Events => "What people do with videos.",
            Self::Feeds => "What people are shown next, by request or over a socket.",
            Self::People => "Who people are, what they did, whom they follow.",
            Self::Videos => "The catalogue, and what goes with what.",
            Self::Operations => "Whether the server is well.",
        }
    }
}

/// What a route says of itself.
pub struct Spec {
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
    reads_body: bool,
    reads_address: bool,
}

impl Spec {
    /// An operation; `id` is its name in clients. `summary` is a heading, `about` what a caller has to know (Markdown).
    pub fn new(group: Group, id: &str, summary: &str, about: &str) -> Self {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag(group.name())
            .summary(Some(summary))
            .description((!about.is_empty()).then_some(about));
        Self { operation, schemas: Vec::new(), reads_body: false, reads_address: false }
    }

    /// An optional parameter of the query.
    pub fn query(self, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(name, Required::False, about, schema.into())
    }

    /// A parameter of the query that has to be given.
    pub fn needs(self, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(name, Required::True, about, schema.into())
    }

    fn parameter(mut self, name: &str, required: Required, about: &str, schema: RefOr<Schema>) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .description(Some(about))
            .schema(Some(schema));
        self.operation = self.operation.parameter(parameter);
        self.reads_address = true;
        self
    }

    /// `limit`, as most lists have it.
    pub fn limit(self) -> Self {
        self.query("limit", "How many at most", whole(input::LIMITS, input::LIMIT))
    }

    /// The JSON that it reads.
    pub fn reads(mut self, about: &str, schema: impl Into<RefOr<Schema>>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example));
        let body = RequestBodyBuilder::new()
            .description(Some(about))
            .required(Some(Required::True))
            .content(JSON, content.build());
        self.operation = self.operation.request_body(Some(body.build()));
        self.reads_body = true;
        self
    }

    /// An answer of a type.
    pub fn answers<T: ToSchema>(mut self, status: u16, about: &str) -> Self {
        self.mention::<T>();
        self.answers_as(status, about, &[JSON], refers(&T::name()))
    }

    /// An answer in one of these media types.
    pub fn answers_as(self, status: u16, about: &str, media: &[&str], schema: impl Into<RefOr<Schema>>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(about);
        // Without their parameters.
        let names = media.iter().filter_map(|media_type| media_type.split(';').next());
        self.response(status, names.fold(response, |response, name| response.content(name, content.clone())))
    }

    /// JSON as the vocabulary has it.
    pub fn answers_with(self, status: u16, about: &str, name: &str) -> Self {
        self.answers_as(status, about, &[JSON], refers(name))
    }

    /// An answer without a body.
    pub fn ends(self, status: u16, about: &str) -> Self {
        self.response(status, ResponseBuilder::new().description(about))
    }

    /// A type that one of the vocabulary refers to.
    pub fn mentions<T: ToSchema>(mut self) -> Self {
        self.mention::<T>();
        self
    }

    /// A refusal of its own.
    pub fn refuses(mut self, status: u16) -> Self {
        self.refusal(status);
        self
    }

    fn response(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.operation = self.operation.response(status.to_string(), response.build());
        self
    }

    fn refusal(&mut self, status: u16) {
        let name = REFUSALS.iter().find(|(of, ..)| *of == status).map_or("Failure", |(_, name, _)| name);
        let operation = std::mem::take(&mut self.operation);
        self.operation = operation.response(status.to_string(), Ref::from_response_name(name));
    }

    /// Notes a type, and those that it is made of.
    fn mention<T: ToSchema>(&mut self) {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
    }

    /// The operation where it stands in the table, and the types that it mentions.
    pub fn finish(mut self, path: &str, access: Access) -> (Operation, Vec<(String, RefOr<Schema>)>) {
        self.mention::<error::Document<'_>>();
        if let Some(of) = ["user", "video"].into_iter().find(|of| path.contains(&format!("{of}s/{{id}}"))) {
            self.operation = self.operation.parameter(id_in_path(of));
            self.reads_address = true;
        }
        let mut refusals = vec![500];
        if self.reads_body || self.reads_address {
            refusals.push(400);
        }
        if self.reads_body {
            refusals.extend([408, 413, 415, 422]);
        }
        if path.starts_with("/v1/") {
            refusals.push(503);
        }
        if access != Access::Open {
            refusals.extend([401, 403, 429]);
        }
        for status in refusals {
            self.refusal(status);
        }
        let operation = self.operation.securities(Some(securities(access))).build();
        (operation, self.schemas)
    }
}

fn id_in_path(of: &str) -> Parameter {
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(format!("The {of}'s id, percent-encoded")))
        .schema(Some(field(of, "id")))
        .example(Some(if of == "user" { "u1" } else { "v1" }.into()))
        .build()
}

/// Who may, any of them.
fn securities(access: Access) -> Vec<SecurityRequirement> {
    let key = |scope: Scope| SecurityRequirement::new(KEY, [scope.name()]);
    let (token, session) = (|| SecurityRequirement::new(TOKEN, [""; 0]), || SecurityRequirement::new(SESSION, [""; 0]));
    match access {
        Access::Open | Access::Nodes => Vec::new(),
        Access::Scope(scope) => vec![key(scope)],
        Access::AnyScope(scopes) => scopes.iter().copied().map(key).collect(),
        Access::Own(scope) | Access::Person(scope) => vec![key(scope), token()],
        Access::Admin | Access::Metrics => vec![key(Scope::Admin), session()],
    }
}

/// What every refusal is called, and what it means.
const REFUSALS: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "The address or the body cannot be read; `errors` says why"),
    (401, "Unauthorized", "Nothing tells who asks, or it is not good (any more)"),
    (403, "Forbidden", "Who asks is known, and may not do this"),
    (404, "NotFound", "Nobody knows this id"),
    (408, "TooSlow", "The body did not arrive in time"),
    (413, "TooLarge", "The body is larger than `server.body_limit_kb`"),
    (415, "NotJson", "The content type is not application/json"),
    (422, "Invalid", "Fields are not acceptable; `errors` names each, and says what to do"),
    (429, "TooManyRequests", "This key, or this person, asks too often"),
    (500, "Failure", "The server failed; its log says why, under the answer's x-request-id"),
    (503, "Overloaded", "More work than the server can take now, or something that it needs does not answer"),
];

/// The refusals as components.
pub fn refusals() -> impl Iterator<Item = (&'static str, Response)> {
    REFUSALS.into_iter().map(|(status, name, about)| {
        let content = ContentBuilder::new().schema(Some(refers("Problem"))).build();
        let mut response = ResponseBuilder::new().description(about).content(PROBLEM, content);
        if matches!(status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            let header =
                HeaderBuilder::new().schema(Some(seconds)).description(Some("After how many seconds to send it again"));
            response = response.header("Retry-After", header.build());
        }
        if status == 401 {
            let about = "What may be shown (RFC 6750)";
            let header = HeaderBuilder::new().schema(Some(text())).description(Some(about));
            response = response.header("WWW-Authenticate", header.build());
        }
        (name, response.build())
    })
}

/// A component by its name.
pub fn refers(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

/// Any text.
pub fn text() -> Object {
    Object::with_type(Type::String)
}

/// A whole number.
pub fn whole<N: Into<u64> + Copy>(range: RangeInclusive<N>, otherwise: N) -> Object {
    let number = |n: N| n.into();
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .minimum(Some(number(*range.start()) as f64))
        .maximum(Some(number(*range.end()) as f64))
        .default(Some(number(otherwise).into()))
        .build()
}

/// `true` or `false`, the latter where it is left out.
pub fn flag() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into())).build()
}

/// One of these words.
pub fn word(words: &[&str], otherwise: Option<&str>) -> Object {
    let words = words.iter().map(|word| Value::from(*word));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).default(otherwise.map(Value::from)).build()
}
