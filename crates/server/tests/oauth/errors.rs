//! RFC 6749 §5.2, one test per row, and what surrounds them.

use super::door::{Door, Registered, error, on_both};
use crate::world::Answer;

const MACHINE: (&str, &str) = ("grant_type", "client_credentials");

/// The row: status, code, and whether the challenge of HTTP Basic comes along.
fn row(answer: &Answer) -> (u16, String, bool) {
    (
        answer.status.as_u16(),
        error(answer),
        answer.headers.contains_key("www-authenticate"),
    )
}

fn bad(code: &str) -> (u16, String, bool) {
    (400, code.to_owned(), false)
}

async fn door_and_service() -> (Door, Registered) {
    let door = Door::sqlite().await;
    let service = door.machine().await;
    (door, service)
}

#[tokio::test]
async fn invalid_request() {
    let (door, service) = door_and_service().await;
    let basic = service.basic();
    let id = service.id();
    let secret = service.secret.as_ref().unwrap().reveal();
    let long = "x".repeat(15 * 1024);
    for (authorization, body) in [
        (Some(&basic), "".to_owned()),
        (Some(&basic), "grant_type=".to_owned()),
        (
            Some(&basic),
            "grant_type=client_credentials&grant_type=client_credentials".to_owned(),
        ),
        (Some(&basic), "grant_type=client_credentials&scope=%ff".to_owned()),
        (Some(&basic), "grant_type=authorization_code".to_owned()),
        (Some(&basic), "grant_type=refresh_token".to_owned()),
        (
            Some(&basic),
            format!("grant_type=client_credentials&client_secret={secret}"),
        ),
        (
            Some(&basic),
            "grant_type=client_credentials&client_id=cli_other".to_owned(),
        ),
        (Some(&basic), format!("{long}&grant_type=")),
        (None, "grant_type=client_credentials".to_owned()),
        (None, format!("client_id={id}&client_secret={secret}")),
    ] {
        let answer = door
            .raw_form("/oauth/token", authorization.map(String::as_str), &body)
            .await;
        assert_eq!(row(&answer), bad("invalid_request"), "{body}");
    }
}

#[tokio::test]
async fn invalid_client() {
    let (door, service) = door_and_service().await;
    let native = door.native().await;
    let wrong = Registered {
        secret: Some(ostler_core::secret::ClientSecret::presented("ost_cs_no".into())),
        ..service.clone()
    };
    let by_header = (401, "invalid_client".to_owned(), true);
    let otherwise = (401, "invalid_client".to_owned(), false);
    for authorization in [
        wrong.basic(),
        "Basic ???".into(),
        "Bearer x".into(),
        "Basic Y2xpX3g6eA==".into(),
    ] {
        let answer = door.form("/oauth/token", Some(&authorization), &[MACHINE]).await;
        assert_eq!(row(&answer), by_header, "{authorization}");
    }
    let (id, native_id) = (service.id(), native.id());
    for pairs in [
        vec![("client_id", "cli_nobody")],
        vec![("client_id", "cli_01h455vb4pex5vsknk084sn02q")],
        vec![("client_id", &id)],
        vec![("client_id", &id), ("client_secret", "ost_cs_no")],
        // A public client has no secret, so whoever shows one is not it.
        vec![("client_id", &native_id), ("client_secret", "ost_cs_no")],
    ] {
        let pairs: Vec<_> = pairs.into_iter().chain([MACHINE]).collect();
        assert_eq!(
            row(&door.form("/oauth/token", None, &pairs).await),
            otherwise,
            "{pairs:?}"
        );
    }
}

on_both! {
    async fn invalid_grant(door) {
        let web = door.web().await;
        let other = door.web().await;
        let code = door.browser().code(&web).await;
        assert_eq!(row(&door.redeem(&web, "ost_ac_unknown").await), bad("invalid_grant"));
        assert_eq!(row(&door.redeem(&other, &code).await), bad("invalid_grant"));
        let exchange = ("grant_type", "authorization_code");
        let callback = ("redirect_uri", super::door::CALLBACK);
        let verifier = ("code_verifier", super::door::VERIFIER);
        for pairs in [
            vec![callback],
            vec![verifier],
            vec![callback, ("code_verifier", &"x".repeat(43))],
            vec![("redirect_uri", "https://web.example.com/callback/"), verifier],
        ] {
            let pairs: Vec<_> = pairs.into_iter().chain([exchange, ("code", code.as_str())]).collect();
            assert_eq!(row(&door.token(&web, &pairs).await), bad("invalid_grant"), "{pairs:?}");
        }
        assert_eq!(row(&door.refresh(&web, "ost_rt_unknown").await), bad("invalid_grant"));
        // None of this used the code up: its holder still has it.
        assert_eq!(door.redeem(&web, &code).await.status, 200);
    }

    async fn a_code_lives_for_a_minute(door) {
        let web = door.web().await;
        let code = door.browser().code(&web).await;
        door.pass(std::time::Duration::from_secs(60));
        assert_eq!(row(&door.redeem(&web, &code).await), bad("invalid_grant"));
    }
}

#[tokio::test]
async fn unauthorized_client() {
    let (door, service) = door_and_service().await;
    let (web, native) = (door.web().await, door.native().await);
    assert_eq!(row(&door.token(&web, &[MACHINE]).await), bad("unauthorized_client"));
    assert_eq!(row(&door.token(&native, &[MACHINE]).await), bad("unauthorized_client"));
    assert_eq!(
        row(&door.refresh(&service, "ost_rt_x").await),
        bad("unauthorized_client")
    );
    let exchange = [("grant_type", "authorization_code"), ("code", "ost_ac_x")];
    assert_eq!(row(&door.token(&service, &exchange).await), bad("unauthorized_client"));
}

#[tokio::test]
async fn unsupported_grant_type() {
    let (door, service) = door_and_service().await;
    for grant_type in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "Client_Credentials",
    ] {
        assert_eq!(
            row(&door.token(&service, &[("grant_type", grant_type)]).await),
            bad("unsupported_grant_type")
        );
    }
}

#[tokio::test]
async fn invalid_scope() {
    let (door, service) = door_and_service().await;
    for scope in ["nonsense", "fleet:control", "devices:read", "fleet:read devices:read"] {
        assert_eq!(
            row(&door.token(&service, &[MACHINE, ("scope", scope)]).await),
            bad("invalid_scope"),
            "{scope}"
        );
    }
    let web = door.web().await;
    let tokens = door.signed_in(&web).await;
    let wider = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh()),
        ("scope", "history:read"),
    ];
    assert_eq!(row(&door.token(&web, &wider).await), bad("invalid_scope"));
    assert_eq!(door.refresh(&web, tokens.refresh()).await.status, 200);
}

#[tokio::test]
async fn a_body_of_another_kind_is_an_invalid_request_and_a_huge_one_too_large() {
    let (door, _) = door_and_service().await;
    let json = http::Request::post("/oauth/token").header("content-type", "application/json");
    let answer = crate::world::ask(&door.router, json.body("{}".into()).unwrap()).await;
    assert_eq!(row(&answer), bad("invalid_request"));
    let answer = door.raw_form("/oauth/token", None, &"x".repeat(20 * 1024)).await;
    assert_eq!(answer.status, 413);
}
