//! Client credentials, introspection, metadata.

use http::Method;
use ostler_core::client::ClientRegistration;

use super::door::{Door, Tokens, error, machine, on_both, texts};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

on_both! {
    async fn s2_a_machine_gets_a_token_in_its_own_name(door) {
        let service = door.machine().await;
        let tokens = Tokens::of(&door.token(&service, &[GRANT, ("scope", "admin:read fleet:read")]).await);
        assert_eq!((tokens.scope.as_str(), tokens.refresh), ("fleet:read admin:read", None));
        assert_eq!(door.bearer(Method::GET, "/admin/v1/customers", &tokens.access).await.status, 200);
        // Nobody is signed in.
        assert_eq!(door.me(&tokens.access).await.status, 404);
        assert!(door.store.model_agrees().await.unwrap());
    }
}

#[tokio::test]
async fn a_machine_without_a_scope_in_mind_gets_its_default_without_what_is_customers() {
    let door = Door::sqlite().await;
    let tokens = Tokens::of(&door.token(&door.machine().await, &[GRANT]).await);
    assert_eq!(tokens.scope, "fleet:read");
}

#[tokio::test]
async fn the_secret_may_come_in_the_form_instead() {
    let door = Door::sqlite().await;
    let service = door.machine().await;
    let (id, secret) = (service.id(), service.secret.as_ref().unwrap().reveal().to_owned());
    let answer = door
        .form(
            "/oauth/token",
            None,
            &[GRANT, ("client_id", &id), ("client_secret", &secret)],
        )
        .await;
    assert_eq!(Tokens::of(&answer).scope, "fleet:read");
}

#[tokio::test]
async fn a_machine_is_asked_about_all_tokens_and_other_clients_about_their_own() {
    let door = Door::sqlite().await;
    let (service, web, other) = (door.machine().await, door.web().await, door.web().await);
    let tokens = door.signed_in(&web).await;
    let path = "/oauth/introspect";
    for asking in [&service, &web] {
        let answer = door.form_by(asking, path, &[("token", &tokens.access)]).await.json();
        assert_eq!(answer["active"], true);
        assert_eq!(answer["sub"], door.ada.to_string());
        assert_eq!(answer["client_id"], web.id());
        assert_eq!(answer["scope"], "offline_access devices:read");
        assert_eq!(answer["iss"], "https://api.example.com");
        assert_eq!(answer["exp"].as_i64().unwrap() - answer["iat"].as_i64().unwrap(), 3600);
    }
    let inactive = serde_json::json!({ "active": false });
    assert_eq!(
        door.form_by(&other, path, &[("token", &tokens.access)]).await.json(),
        inactive
    );
    assert_eq!(
        door.form_by(&other, path, &[("token", tokens.refresh())]).await.json(),
        inactive
    );
    assert_eq!(
        door.form_by(&service, path, &[("token", "ost_at_nonsense")])
            .await
            .json(),
        inactive
    );
    assert_eq!(
        door.form_by(&web, path, &[("token", tokens.refresh())]).await.json()["active"],
        true
    );
    let native = door.native().await;
    assert_eq!(
        error(&door.form_by(&native, path, &[("token", &tokens.access)]).await),
        "invalid_client"
    );
}

#[tokio::test]
async fn a_client_that_may_do_less_starts_over_and_one_that_ended_is_nobody() {
    let door = Door::sqlite().await;
    let service = door.machine().await;
    let tokens = Tokens::of(&door.token(&service, &[GRANT, ("scope", "admin:read")]).await);
    let narrowed = ostler_app::identity::ClientPatch {
        scopes: Some(texts(&["fleet:read"])),
        default_scopes: Some(texts(&["fleet:read"])),
        ..Default::default()
    };
    door.app
        .change_client(service.client.id, narrowed, ostler_store::Actor::System)
        .await
        .unwrap();
    assert_eq!(
        door.bearer(Method::GET, "/admin/v1/customers", &tokens.access)
            .await
            .status,
        401
    );
    assert_eq!(
        error(&door.token(&service, &[GRANT, ("scope", "admin:read")]).await),
        "invalid_scope"
    );

    let tokens = Tokens::of(&door.token(&service, &[GRANT]).await);
    door.app
        .end_client(service.client.id, ostler_store::Actor::System)
        .await
        .unwrap();
    assert_eq!(door.me(&tokens.access).await.status, 401);
    assert_eq!(error(&door.token(&service, &[GRANT]).await), "invalid_client");
    assert!(door.store.model_agrees().await.unwrap());
}

#[tokio::test]
async fn a_browser_app_may_call_from_its_registered_origin() {
    let door = Door::sqlite().await;
    assert!(!door.app.is_registered_origin("https://app.example.org").await);
    let web = door.web().await;
    assert!(door.app.is_registered_origin("https://app.example.org").await);
    for origin in [
        "https://evil.example",
        "https://app.example.org.evil.example",
        "null",
        "*",
        "",
    ] {
        assert!(!door.app.is_registered_origin(origin).await, "{origin}");
    }
    door.app
        .end_client(web.client.id, ostler_store::Actor::System)
        .await
        .unwrap();
    assert!(!door.app.is_registered_origin("https://app.example.org").await);
}

#[tokio::test]
async fn the_metadata_names_what_there_is() {
    let door = Door::sqlite().await;
    let path = "/.well-known/oauth-authorization-server";
    let answer = crate::world::get_path(&door.router, path).await;
    crate::contract::contract().fits(&Method::GET, path, &answer);
    let metadata = answer.json();
    assert_eq!(metadata["issuer"], "https://api.example.com");
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    for member in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
    ] {
        let address = metadata[member].as_str().unwrap();
        let path = address.strip_prefix("https://api.example.com").unwrap();
        assert_ne!(
            crate::world::get_path(&door.router, path).await.status,
            404,
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_machine_scope_is_never_registered_for_a_public_client() {
    let door = Door::sqlite().await;
    let registration = ClientRegistration {
        kind: ostler_core::client::ClientKind::Public,
        ..machine()
    };
    assert!(
        door.app
            .create_client(registration, None, ostler_store::Actor::System)
            .await
            .is_err()
    );
}
