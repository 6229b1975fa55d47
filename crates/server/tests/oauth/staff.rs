//! Staff sessions, apart from customers'.

use http::{Method, Request};
use ostler_core::staff::StaffRole;

use super::door::{Door, EMAIL, PASSWORD, as_json, on_both};
use crate::contract::contract;
use crate::world::{Answer, ask};

async fn sign_in(door: &Door, email: &str, password: &str) -> Answer {
    let body = as_json(&[("email", email), ("password", password)]).to_string();
    let request = Request::post("/admin/v1/session").header("content-type", "application/json");
    let answer = ask(&door.router, request.body(body.into()).unwrap()).await;
    contract().fits(&Method::POST, "/admin/v1/session", &answer);
    answer
}

async fn token(door: &Door) -> String {
    let answer = sign_in(door, "Operator@example.com", PASSWORD).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.headers["cache-control"].to_str().unwrap()
        ),
        (200, "no-store")
    );
    assert_eq!(answer.json()["token_type"], "Bearer");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

on_both! {
    async fn staff_sign_in_work_and_sign_out(door) {
        door.staff(StaffRole::Owner).await;
        let token = token(&door).await;
        assert_eq!(door.bearer(Method::GET, "/admin/v1/customers", &token).await.status, 200);
        // Staff have no customer's account.
        assert_eq!(door.me(&token).await.status, 404);
        assert!(door.store.model_agrees().await.unwrap());
        assert_eq!(door.bearer(Method::DELETE, "/admin/v1/session", &token).await.status, 204);
        assert_eq!(door.bearer(Method::GET, "/admin/v1/customers", &token).await.status, 401);
        assert!(door.store.model_agrees().await.unwrap());
    }
}

#[tokio::test]
async fn a_viewer_looks_and_does_not_touch() {
    let door = Door::sqlite().await;
    door.staff(StaffRole::Viewer).await;
    let token = token(&door).await;
    assert_eq!(
        door.bearer(Method::GET, "/admin/v1/customers", &token).await.status,
        200
    );
    let close = format!("/admin/v1/customers/{}/close", door.ada);
    assert_eq!(door.bearer(Method::POST, &close, &token).await.status, 403);
}

#[tokio::test]
async fn a_customers_account_opens_nothing_here_and_unknown_ones_look_alike() {
    let door = Door::sqlite().await;
    door.staff(StaffRole::Owner).await;
    let mut seen = Vec::new();
    for (email, password) in [
        (EMAIL, PASSWORD),
        ("operator@example.com", "wrong one"),
        ("nobody@example.com", PASSWORD),
        ("?", "?"),
    ] {
        let answer = sign_in(&door, email, password).await;
        seen.push((answer.status.as_u16(), answer.json()["detail"].clone()));
    }
    assert!(seen.iter().all(|each| *each == seen[0]) && seen[0].0 == 401, "{seen:?}");
}

#[tokio::test]
async fn only_a_staff_session_is_ended_here() {
    let door = Door::sqlite().await;
    let tokens = door.signed_in(&door.web().await).await;
    assert_eq!(
        door.bearer(Method::DELETE, "/admin/v1/session", &tokens.access)
            .await
            .status,
        403
    );
    assert!(door.is_good(&tokens.access).await);
}

#[tokio::test]
async fn bad_input_is_named() {
    let door = Door::sqlite().await;
    let answer = sign_in(&door, &"x".repeat(300), "x").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]),
        (400, &"/email".into())
    );
}
