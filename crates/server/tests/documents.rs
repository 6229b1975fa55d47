//! What people and programs read about the server: its pages, its OpenAPI document, its errors.

use ostler_server::openapi::openapi;
use ostler_server::problem::errors_document;

use crate::world::{get_path, world};

#[test]
fn docs_errors_md_is_the_list_of_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        written,
        errors_document(),
        "regenerate it: cargo run -p ostler-server --example errors > docs/errors.md"
    );
}

#[tokio::test]
async fn the_home_page_links_only_to_what_there_is() {
    let router = world().router();
    let home = get_path(&router, "/").await;
    assert_eq!(home.headers["content-type"], "text/html; charset=utf-8");
    let links: Vec<&str> = home
        .text
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(links.len() >= 5, "{links:?}");
    for link in links {
        assert_eq!(get_path(&router, link).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn docs_show_every_operation_without_scripts() {
    let router = world().router();
    let page = get_path(&router, "/docs").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("<script"));
    let document = get_path(&router, "/openapi.json").await.json();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.text.contains(path), "{path}");
    }
}

#[tokio::test]
async fn the_openapi_document_is_3_1_and_describes_problems() {
    let document = serde_json::to_value(openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["components"]["schemas"]["Problem"]["properties"]["code"].is_object());
    assert!(document["paths"]["/readyz"]["get"].is_object());
}

#[test]
fn every_operation_is_described_whole() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(
                operation["operationId"].is_string() && operation["summary"].is_string(),
                "{place}"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty(), "{place}");
            for (status, response) in responses {
                // OpenAPI 3.1 §4.8.17: REQUIRED, though the generator lets it go.
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{place} {status} has no description");
            }
        }
    }
}

#[test]
fn every_reference_in_the_openapi_document_leads_somewhere() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut to_visit = vec![&document];
    let mut references = 0;
    while let Some(value) = to_visit.pop() {
        if let Some(reference) = value.get("$ref").and_then(|reference| reference.as_str()) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            references += 1;
        }
        to_visit.extend(value.as_object().into_iter().flat_map(|members| members.values()));
        to_visit.extend(value.as_array().into_iter().flatten());
    }
    assert!(references > 0);
}

#[tokio::test]
async fn the_type_of_a_problem_leads_somewhere() {
    let router = world().router();
    assert!(
        get_path(&router, "/problems/device-offline")
            .await
            .text
            .contains("The device is offline")
    );
    assert_eq!(get_path(&router, "/problems/nonsense").await.problem(), "404 not-found");
}
