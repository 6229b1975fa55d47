//! The OpenAPI document as a contract: what it says is what is served, and every answer that a test
//! sees has to fit it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use http::Method;
use http::header::CONTENT_TYPE;
use ostler_server::openapi;
use ostler_server::problem::Code;
use serde_json::{Value, json};

use crate::house::house;
use crate::world::Answer;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

pub struct Contract(Value);

pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract(serde_json::from_slice(openapi::document()).unwrap()))
}

impl Contract {
    /// Panics unless the document allows this answer to this request.
    pub fn fits(&self, method: &Method, path: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        let place = format!("{method} {path} → {status}");
        let operation = self
            .operation(method, path)
            .unwrap_or_else(|| panic!("{place}: no such operation"));
        let response = &operation["responses"][status.to_string()];
        assert!(
            response.is_object(),
            "{place}: the status is not described; it said {}",
            answer.text
        );
        let Some(content) = response["content"].as_object() else {
            assert!(answer.text.is_empty(), "{place}: a body where none is described");
            return;
        };
        let media_type = answer.headers[CONTENT_TYPE].to_str().unwrap();
        let media = content
            .get(media_type)
            .unwrap_or_else(|| panic!("{place}: {media_type} is not described"));
        if media_type.ends_with("json") {
            let faults = self.faults(&media["schema"], &answer.json());
            assert!(faults.is_empty(), "{place}: {faults:#?}\n{}", answer.text);
        }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let templates = self.0["paths"].as_object().unwrap().iter();
        let (_, item) = templates
            .filter(|(template, _)| is_made_from(path, template))
            .min_by_key(|(template, _)| template.matches('{').count())?;
        item.get(method.as_str().to_lowercase())
    }

    fn faults(&self, schema: &Value, body: &Value) -> Vec<String> {
        // References are resolved within the one document that is handed in.
        let rooted = json!({"allOf": [schema], "components": self.0["components"]});
        let validator = jsonschema::validator_for(&rooted).unwrap();
        validator
            .iter_errors(body)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect()
    }

    fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        self.0["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        })
    }
}

fn is_made_from(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    let is_hole = |segment: &str| segment.starts_with('{');
    path.len() == template.len()
        && path
            .iter()
            .zip(&template)
            .all(|(one, other)| is_hole(other) || one == other)
}

#[test]
fn docs_openapi_json_is_the_document() {
    let document = std::str::from_utf8(openapi::document()).unwrap();
    let written = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        written == document,
        "regenerate it: cargo run -p ostler-server --example openapi > docs/openapi.json"
    );
}

#[test]
fn every_example_fits_its_schema() {
    let contract = contract();
    for (place, operation) in contract.operations() {
        let responses = operation["responses"].as_object().unwrap().iter();
        let holders = responses.map(|(status, response)| (status.as_str(), response));
        for (what, holder) in holders.chain([("request", &operation["requestBody"])]) {
            let content = holder["content"].as_object().into_iter().flatten();
            for (media_type, media) in content.filter(|(media_type, _)| *media_type != "application/problem+json") {
                let example = media
                    .get("example")
                    .unwrap_or_else(|| panic!("{place} {what} has no example"));
                if media_type.ends_with("json") {
                    let faults = contract.faults(&media["schema"], example);
                    assert!(faults.is_empty(), "{place} {what}: {faults:#?}\n{example:#}");
                }
            }
        }
    }
}

/// An operation that is open to all says so, or it is a mistake. OAuth clients authenticate in ways
/// for which OpenAPI has no word (RFC 6749 §2.3).
#[test]
fn every_operation_says_who_may_call_it() {
    let by_client = |place: &str| place.contains(" /oauth/") || place.contains(" /.well-known/");
    for (place, operation) in contract().operations().filter(|(place, _)| !by_client(place)) {
        assert!(operation["security"].is_array(), "{place}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let mut seen = BTreeSet::new();
    for (place, operation) in contract().operations() {
        let name = operation["operationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{place} has no operationId"));
        assert!(seen.insert(name.to_owned()), "{place}: {name} is taken");
    }
}

#[test]
fn every_error_code_is_documented() {
    let described: BTreeSet<&str> = contract().0["components"]["schemas"]["ProblemCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let served: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(described, served);
}

/// Each address in the document is one in the router, and asks for a token unless it says that it
/// is open.
#[tokio::test]
async fn every_operation_is_served_and_guarded_as_described() {
    let house = house().await;
    for (place, operation) in contract().operations() {
        let (method, path) = place.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let path = path.replace(['{', '}'], "");
        let answer = house.stranger(method, &path).await;
        assert_ne!(answer.status, 405, "{place}");
        if operation["security"][0].get("bearer").is_some() {
            assert_eq!(answer.status, 401, "{place}: {}", answer.text);
        }
    }
}
