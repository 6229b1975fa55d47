//! Pages for people: what this is (`/`), the API to read (`/docs`), what a problem's `type` means
//! (`/problems/<code>`). Rendered here, without scripts and without anything from third parties, so
//! that they work offline.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;

use crate::error::ApiError;
use crate::extract::Path;
use crate::openapi;
use crate::problem::{Code, Problem};
use crate::state::ServerState;

pub const STYLE_PATH: &str = "/assets/ostler.css";

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    public_url: &'a str,
    version: &'static str,
}

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage<'a> {
    title: &'a str,
    description: &'a str,
    operations: Vec<Operation<'a>>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    code: Code,
}

/// One operation of the OpenAPI document, as the page shows it.
struct Operation<'a> {
    id: &'a str,
    method: String,
    path: &'a str,
    summary: &'a str,
    description: &'a str,
    scopes: Vec<&'a str>,
    parameters: Vec<Parameter<'a>>,
    request: Option<String>,
    responses: Vec<Answer<'a>>,
}

struct Parameter<'a> {
    name: &'a str,
    place: &'a str,
    description: &'a str,
    is_required: bool,
}

struct Answer<'a> {
    status: &'a str,
    description: &'a str,
    example: Option<String>,
}

/// `GET /`
pub async fn home(State(state): State<ServerState>) -> Result<Html<String>, ApiError> {
    let public_url = state.frame().public_url.as_str().trim_end_matches('/');
    page(&HomePage {
        public_url,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// `GET /docs`
pub async fn docs() -> Result<Html<String>, ApiError> {
    let document: Value = serde_json::from_slice(openapi::document()).map_err(Problem::internal)?;
    page(&DocsPage {
        title: text(&document["info"], "title"),
        description: text(&document["info"], "description"),
        operations: operations(&document),
    })
}

/// `GET /problems/{code}`: where a problem's `type` leads.
pub async fn problem(Path(code): Path<String>) -> Result<Html<String>, ApiError> {
    let code = Code::ALL
        .iter()
        .copied()
        .find(|own| own.as_str() == code)
        .ok_or_else(Problem::not_found)?;
    page(&ProblemPage { code })
}

/// `GET /assets/ostler.css`, for all our pages.
pub async fn style() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../assets/ostler.css")).into_response()
}

fn page(template: &impl Template) -> Result<Html<String>, ApiError> {
    Ok(Html(template.render().map_err(Problem::internal)?))
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            item.as_object()
                .into_iter()
                .flatten()
                .map(move |(method, operation)| shown(path, method, operation))
        })
        .collect()
}

fn shown<'a>(path: &'a str, method: &str, operation: &'a Value) -> Operation<'a> {
    let security = operation["security"].as_array().into_iter().flatten();
    let scopes = security.filter_map(Value::as_object).flat_map(|one| one.values());
    Operation {
        id: text(operation, "operationId"),
        method: method.to_uppercase(),
        path,
        summary: text(operation, "summary"),
        description: text(operation, "description"),
        scopes: scopes
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        parameters: operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(parameter)
            .collect(),
        request: example(&operation["requestBody"]),
        responses: operation["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, answer)| Answer {
                status,
                description: text(answer, "description"),
                example: example(answer),
            })
            .collect(),
    }
}

fn parameter(parameter: &Value) -> Parameter<'_> {
    Parameter {
        name: text(parameter, "name"),
        place: text(parameter, "in"),
        description: text(parameter, "description"),
        is_required: parameter["required"] == Value::Bool(true),
    }
}

/// The example of a body's first media type, indented for reading.
fn example(holder: &Value) -> Option<String> {
    let media = holder["content"].as_object()?.values().next()?;
    let example = media
        .get("example")
        .or_else(|| media["examples"].as_object()?.values().next()?.get("value"))?;
    Some(format!("{example:#}"))
}

fn text<'a>(holder: &'a Value, member: &str) -> &'a str {
    holder[member].as_str().unwrap_or_default()
}
