//! Bearer tokens at the door (RFC 6750).

use std::time::Duration;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Method, Request};

use super::door::{Door, Tokens, on_both};
use crate::world::{ask, get_path};

on_both! {
    async fn a_token_opens_what_its_scopes_say_until_it_expires(door) {
        let web = door.web().await;
        let tokens = door.signed_in(&web).await;
        assert_eq!(door.me(&tokens.access).await.json()["email"], "ada@example.com");
        assert_eq!(door.bearer(Method::GET, "/v1/devices", &tokens.access).await.status, 200);

        let refused = door.bearer(Method::GET, "/admin/v1/customers", &tokens.access).await;
        assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (403, Some("insufficient-scope")));
        assert_eq!(refused.headers["www-authenticate"], "Bearer error=\"insufficient_scope\", scope=\"admin:read\"");

        door.pass(Duration::from_millis(3_599_999));
        assert!(door.is_good(&tokens.access).await);
        door.pass(Duration::from_millis(1));
        assert!(!door.is_good(&tokens.access).await);
    }

    async fn what_ran_out_is_pruned_and_what_lives_is_kept(door) {
        let web = door.web().await;
        let old = door.signed_in(&web).await;
        door.pass(Duration::from_secs(2 * 3600));
        let young = door.signed_in(&web).await;
        door.app.prune_identity(door.now()).await.unwrap();
        assert!(door.store.model_agrees().await.unwrap());
        assert!(door.is_good(&young.access).await);
        assert_eq!(door.refresh(&web, old.refresh()).await.status, 200);
    }
}

#[tokio::test]
async fn without_a_good_token_the_answer_says_how_to_come_back() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let tokens = door.signed_in(&web).await;
    let good = &tokens.access;
    for (field, challenge) in [
        (None, "Bearer"),
        (Some("Basic b3N0".to_owned()), "Bearer"),
        (Some("Bearer".to_owned()), "Bearer"),
        (Some("Bearer ".to_owned()), "Bearer error=\"invalid_token\""),
        (Some("Bearer ost_at_x".to_owned()), "Bearer error=\"invalid_token\""),
        (
            Some(format!("Bearer {}", good.to_lowercase())),
            "Bearer error=\"invalid_token\"",
        ),
        (
            Some(format!("Bearer {}", tokens.refresh())),
            "Bearer error=\"invalid_token\"",
        ),
        (
            Some(format!("Bearer {}x", &good[..good.len() - 1])),
            "Bearer error=\"invalid_token\"",
        ),
    ] {
        let mut request = Request::get("/v1/me");
        if let Some(field) = &field {
            request = request.header(AUTHORIZATION, field);
        }
        let answer = ask(&door.router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (401, Some("unauthenticated")),
            "{field:?}"
        );
        assert_eq!(answer.headers["www-authenticate"], challenge, "{field:?}");
    }
    // In the address a token opens nothing: it would end up in logs.
    assert_eq!(
        get_path(&door.router, &format!("/v1/me?access_token={good}"))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn two_authorization_fields_are_no_authorization() {
    let door = Door::sqlite().await;
    let tokens = door.signed_in(&door.web().await).await;
    let field = format!("Bearer {}", tokens.access);
    let request = Request::get("/v1/me")
        .header(AUTHORIZATION, &field)
        .header(AUTHORIZATION, &field);
    assert_eq!(
        ask(&door.router, request.body(Body::empty()).unwrap()).await.status,
        400
    );
}

#[tokio::test]
async fn a_caller_is_told_what_is_left_of_the_allowance() {
    let door = Door::sqlite().await;
    let service = door.machine().await;
    let tokens = Tokens::of(&door.token(&service, &[("grant_type", "client_credentials")]).await);
    let answer = door.me(&tokens.access).await;
    assert!(answer.headers["ratelimit"].to_str().unwrap().starts_with("\"caller\";"));
}
