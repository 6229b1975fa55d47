//! Gives every body in the OpenAPI document an example, put together from those of its members.
//!
//! What has an example keeps it; problem documents are all alike and need none. The contract test
//! holds every example against its schema.

use serde_json::{Map, Value, json};

/// Whose side a body is on: secrets that are only written do not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

const PROBLEM: &str = "application/problem+json";

/// Deeper than any schema of ours; a schema that holds itself would never end.
const DEPTH_MAX: usize = 24;

pub fn fill(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for operation in paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut())
    {
        if let Some(body) = operation.get_mut("requestBody") {
            fill_content(body, &schemas, Direction::Request);
        }
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut)
            .into_iter();
        for response in responses.flat_map(|responses| responses.values_mut()) {
            fill_content(response, &schemas, Direction::Response);
        }
    }
}

fn fill_content(holder: &mut Value, schemas: &Value, direction: Direction) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else {
        return;
    };
    for (_, media) in content.iter_mut().filter(|(media_type, _)| *media_type != PROBLEM) {
        let has_example = media.get("example").is_some() || media.get("examples").is_some();
        if let (false, Some(schema)) = (has_example, media.get("schema")) {
            media["example"] = example(schema, schemas, direction, 0);
        }
    }
}

fn example(schema: &Value, schemas: &Value, direction: Direction, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let inner = |schema: &Value| example(schema, schemas, direction, depth + 1);
    if let Some(said) = said_example(schema) {
        return said.clone();
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
    {
        return inner(&schemas[name]);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let members = parts
            .iter()
            .map(inner)
            .filter_map(|part| part.as_object().cloned())
            .flatten();
        return members.collect::<Map<_, _>>().into();
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let is_null = |choice: &&Value| choice["type"] == "null";
        return choices
            .iter()
            .find(|choice| !is_null(choice))
            .map_or(Value::Null, inner);
    }
    match kind(schema) {
        Some("object") => object(schema, inner, direction).into(),
        Some("array") => json!([inner(&schema["items"])]),
        Some("string") if schema["format"] == "date-time" => json!("2030-05-01T10:00:00.000Z"),
        Some("string") => json!("…"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => json!(20.5),
        Some("boolean") => json!(true),
        Some(_) | None => Value::Null,
    }
}

fn said_example(schema: &Value) -> Option<&Value> {
    let first = |member: &str| schema[member].as_array()?.first();
    schema
        .get("example")
        .or_else(|| first("examples"))
        .or_else(|| first("enum"))
}

/// A type that may be null, and of which nothing is said, is null.
fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) if kinds.iter().any(|kind| kind == "null") => {
            let is_structure = |kind: &&Value| *kind == "array" || *kind == "object";
            kinds.iter().find(is_structure).and_then(Value::as_str)
        }
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// An answer shows all that there may be; a request only what is needed, and what is worth showing.
fn object(schema: &Value, inner: impl Fn(&Value) -> Value, direction: Direction) -> Map<String, Value> {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|each| each == name))
    };
    let is_shown = |name: &str, member: &Value| match direction {
        Direction::Request => required(name) || said_example(member).is_some(),
        Direction::Response => member["writeOnly"] != true,
    };
    let members = schema["properties"].as_object().into_iter().flatten();
    members
        .filter(|(name, member)| is_shown(name, member))
        .map(|(name, member)| (name.clone(), inner(member)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(schema: &Value, body: &str) -> Value {
        let mut document = json!({
            "components": {"schemas": {"Thing": schema}},
            "paths": {"/things": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
            }}},
        });
        fill(&mut document);
        document
            .pointer(&format!(
                "/paths/~1things/post/{body}/content/application~1json/example"
            ))
            .unwrap()
            .clone()
    }

    fn thing() -> Value {
        json!({"type": "object", "required": ["name", "kind"], "properties": {
            "name": {"type": "string", "example": "lamp"},
            "kind": {"type": "string", "enum": ["big", "small"]},
            "note": {"type": ["string", "null"]},
            "secret": {"type": "string", "writeOnly": true, "example": "hush"},
            "parts": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}},
        }})
    }

    #[test]
    fn an_answer_shows_everything_but_what_is_only_written() {
        let expected = json!({"name": "lamp", "kind": "big", "note": null, "parts": ["2030-05-01T10:00:00.000Z"]});
        assert_eq!(filled(&thing(), "responses/200"), expected);
    }

    #[test]
    fn a_request_shows_what_is_needed_or_has_an_example() {
        assert_eq!(
            filled(&thing(), "requestBody"),
            json!({"name": "lamp", "kind": "big", "secret": "hush"})
        );
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({"type": "array", "items": {"$ref": "#/components/schemas/Thing"}});
        assert!(filled(&schema, "responses/200").is_array());
    }
}
