//! What every operation's description has in common, added where a handler does not say it: the
//! refusals of any guarded operation, the shape of a refusal, a word for each answer.
//!
//! The OAuth endpoints are left as they are: their errors follow their RFCs.

use http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr, Response};
use utoipa::{IntoResponses, openapi::Content};

use crate::refusals::{Bearer, Input, Named, problem_content};

pub fn complete(document: &mut OpenApi) {
    let is_oauth = |path: &str| path.starts_with("/oauth/") || path.starts_with("/.well-known/");
    for (_, item) in document.paths.paths.iter_mut().filter(|(path, _)| !is_oauth(path)) {
        operations(item).for_each(complete_operation);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        patch,
        delete,
        ..
    } = item;
    [get, put, post, patch, delete].into_iter().flatten()
}

fn complete_operation(operation: &mut Operation) {
    if is_guarded(operation) {
        add::<Bearer>(operation);
    }
    if operation.request_body.is_some() || has_parameter(operation, &ParameterIn::Query) {
        add::<Input>(operation);
    }
    if has_parameter(operation, &ParameterIn::Path) {
        add::<Named>(operation);
    }
    for (status, response) in &mut operation.responses.responses {
        if let (Ok(status), RefOr::T(response)) = (status.parse(), response) {
            complete_response(status, response);
        }
    }
}

fn complete_response(status: StatusCode, response: &mut Response) {
    // OpenAPI 3.1 §4.8.17: a description is REQUIRED.
    if response.description.is_empty() {
        response.description = status.canonical_reason().unwrap_or("An answer").to_owned();
    }
    if (status.is_client_error() || status.is_server_error()) && response.content.is_empty() {
        let content: RefOr<Content> = problem_content().into();
        response.content.insert("application/problem+json".to_owned(), content);
    }
}

/// What the handler says itself stands.
fn add<R: IntoResponses>(operation: &mut Operation) {
    for (status, response) in R::responses() {
        operation.responses.responses.entry(status).or_insert(response);
    }
}

fn is_guarded(operation: &Operation) -> bool {
    let requirements = serde_json::to_value(&operation.security).expect("requirements are text");
    requirements
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one.get("bearer").is_some())
}

fn has_parameter(operation: &Operation, place: &ParameterIn) -> bool {
    let is_there = |parameter: &Parameter| parameter.parameter_in == *place;
    let parameters = operation.parameters.iter().flatten();
    parameters
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .any(is_there)
}
