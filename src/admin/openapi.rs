//! `/v1/openapi.json`: the admin API described in `OpenAPI` 3.1, made of the calls that the router answers
//! and of the very types that they take and answer.
//!
//! Open to everybody: it says nothing of this Cyan. docs/reference/openapi.json is the same, to be read
//! without one; to print it anew: `CYAN_WRITE_REFERENCE=1 cargo test --lib admin::openapi`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::api::Event;
use super::idempotency::KEY_CHARS_MAX;
use super::operation::{Header, Operation, SchemaOf};
use super::operations;
use super::problem::{Problem, ProblemKind};
use super::rollout::ACTIONS;
use crate::model::name::Name;

/// Where schemas stand that have a name.
const SCHEMAS: &str = "/components/schemas";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

const ABOUT: &str = "Everything that the command line and the dashboard of Cyan do. Requests refuse unknown fields; answers may grow \
     fields. Every error is a problem of RFC 9457. docs/reference/api.md says how to use it.";

/// The document, which is the same for everybody.
pub(super) async fn show() -> Response {
    // Written once: the calls do not change while a process runs.
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([(header::CONTENT_TYPE, JSON)], TEXT.as_str()).into_response()
}

/// The document.
fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations::all() {
        let method = operation.method.as_str().to_lowercase();
        let described = describe(&operation, &mut schemas);
        paths.entry(operation.path).or_default().insert(method, described);
    }
    schemas.answered.subschema_for::<Event>(); // the `data` of an event, which no answer as a whole is
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cyan admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of [admin] in the config. Without one there, every program of the machine may call.",
                },
            },
        },
    })
}

/// What is sent and what is answered differ: a default may be left out of the one, and stands in the other.
struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS.into();
                settings.meta_schema = None;
            })
        };
        Self {
            sent: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }

    /// Those with a name. A test sees to it that no name means two things.
    fn all(mut self) -> Map<String, Value> {
        let mut all = self.sent.take_definitions(true);
        all.extend(self.answered.take_definitions(true));
        all
    }
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation, &mut schemas.sent),
        "responses": responses(operation, &mut schemas.answered),
        "security": if operation.is_open { json!([]) } else { json!([{ "token": [] }]) },
    });
    if !operation.more.is_empty() {
        described["description"] = operation.more.into();
    }
    if let Some(body) = &operation.body {
        let schema = (body.schema)(&mut schemas.sent);
        described["requestBody"] =
            json!({ "required": body.is_required, "content": { JSON: { "schema": schema } } });
    }
    described
}

fn parameters(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<_> = names.map(|name| in_path(name, generator)).collect();
    if let Some(query) = operation.query {
        parameters.extend(in_query(query, generator));
    }
    parameters.extend(operation.headers.iter().map(|header| in_header(*header)));
    parameters
}

fn in_path(name: &str, generator: &mut SchemaGenerator) -> Value {
    let schema = match name {
        "action" => json_schema!({ "type": "string", "enum": ACTIONS }),
        "kind" => {
            json_schema!({ "type": "string", "enum": ProblemKind::all().map(ProblemKind::slug).collect::<Vec<_>>() })
        }
        "rollout" => generator.subschema_for::<u64>(),
        _ => generator.subschema_for::<Name>(),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn in_query(query: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let object = query(generator);
    let required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = object.get("properties").and_then(Value::as_object).cloned();
    let parameter = |(name, mut schema): (String, Value)| {
        let is_required = required.iter().any(|required| *required == *name);
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name, "in": "query", "required": is_required,
            "description": description, "schema": without_null(schema),
        })
    };
    properties.unwrap_or_default().into_iter().map(parameter).collect()
}

/// What may be left out is null as a value in Rust, but a query has no word for that.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema.get_mut("type")
        && let Some([one, null]) = types.as_array().map(Vec::as_slice)
        && null == "null"
    {
        *types = one.clone();
    }
    let either = schema.get("anyOf").and_then(Value::as_array);
    match either.map(Vec::as_slice) {
        Some([one, null]) if null["type"] == "null" => one.clone(),
        _ => schema,
    }
}

fn in_header(header: Header) -> Value {
    let (name, description, schema) = match header {
        Header::Actor => (
            super::api::ACTOR_HEADER,
            "On whose behalf the call is made; stands in the journal.",
            json!({ "type": "string" }),
        ),
        Header::IfMatch => (
            "if-match",
            "The service's entity tag: its generation in quotes. Refused with 412 unless that is the generation now.",
            json!({ "type": "string", "minLength": 1, "pattern": "^(\"[0-9]{1,18}\"|\\*)$", "example": "\"17\"" }),
        ),
        Header::IdempotencyKey => (
            super::idempotency::HEADER,
            "The same call with the same key is not done again: its answer is that of the first.",
            json!({ "type": "string", "pattern": format!("^[!-~]{{1,{KEY_CHARS_MAX}}}$") }),
        ),
        Header::Prefer => {
            ("prefer", "`respond-async`: answer at once.", json!({ "type": "string" }))
        }
        Header::LastEventId => (
            "last-event-id",
            "The `seq` of the last event that came; what is no number is passed over.",
            json!({ "type": "string" }),
        ),
    };
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        let schema = (answer.schema)(generator);
        add(&mut responses, answer.status, answer.when, answer.content_type, &schema);
    }
    for kind in operation.known_problems() {
        let schema = generator.subschema_for::<Problem>();
        let when = format!("{} (`/problems/{}`).", kind.title(), kind.slug());
        add(&mut responses, kind.status(), &when, PROBLEM, &schema);
    }
    responses.into()
}

/// Adds an answer, to those of the same status if there are any.
fn add(
    responses: &mut Map<String, Value>,
    status: u16,
    when: &str,
    content_type: &str,
    schema: &Schema,
) {
    let response = responses
        .entry(status.to_string())
        .or_insert_with(|| json!({ "description": "", "content": {} }));
    let said = response["description"].as_str().unwrap_or_default();
    response["description"] = format!("{said} {when}").trim_start().into();
    response["content"][content_type] = json!({ "schema": schema });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_in_the_docs_is_this_document() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/openapi.json");
        let expected = format!("{:#}\n", document());
        if std::env::var_os("CYAN_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let remedy = "CYAN_WRITE_REFERENCE=1 cargo test --lib admin::openapi";
        assert!(found == expected, "{} is stale; run {remedy}", path.display());
    }

    #[test]
    fn no_name_means_two_things() {
        let mut schemas = Schemas::new();
        for operation in operations::all() {
            describe(&operation, &mut schemas);
        }
        let sent = schemas.sent.definitions();
        for (name, answered) in schemas.answered.definitions() {
            assert!(sent.get(name).is_none_or(|sent| sent == answered), "{name}");
        }
    }

    #[test]
    fn every_call_is_told_apart_and_described() {
        let operations = operations::all();
        let ids: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), operations.len());
        for operation in operations {
            assert!(
                !operation.summary.is_empty() && !operation.answers.is_empty(),
                "{}",
                operation.id
            );
            let is_change = !operation.method.is_safe() && !operation.is_open;
            let names_its_actor = operation.headers.contains(&Header::Actor);
            assert!(
                !is_change || names_its_actor || operation.id == "sendScores",
                "{}",
                operation.id
            );
        }
    }
}
