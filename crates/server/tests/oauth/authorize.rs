//! Signing in and agreeing, in a browser.

use http::header::LOCATION;

use super::door::{Door, EMAIL, PASSWORD, Tokens, authorize_path, form_token, on_both, redirected};

on_both! {
    async fn s7_a_customer_signs_in_agrees_and_the_app_gets_tokens(door) {
        let native = door.native().await;
        let mut browser = door.browser();
        // The port is the app's own choice (RFC 8252 §7.3).
        let callback = "http://127.0.0.1:50123/callback";
        let path = authorize_path(&native, &[("redirect_uri", callback), ("scope", "devices:read devices:control")]);

        let page = browser.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("Web &#60;b&#62;&#38; Co&#60;/b&#62;"), "{}", page.text);
        let next = browser.sign_in(&path).await.headers[LOCATION].to_str().unwrap().to_owned();
        let consent = browser.get(&next).await;
        assert!(consent.text.contains("control your devices") && !consent.text.contains("recorded"));
        let done = browser.submit(&next, &consent, &[("action", "allow")]).await;
        assert!(done.headers[LOCATION].to_str().unwrap().starts_with("http://127.0.0.1:50123/callback?code=ost_ac_"));
        let answer = redirected(&done);
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("s t&te", "https://api.example.com"));

        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", answer["code"].as_str()),
            ("redirect_uri", callback),
            ("code_verifier", super::door::VERIFIER),
        ];
        let tokens = Tokens::of(&door.token(&native, &pairs).await);
        assert_eq!(tokens.scope, "devices:read devices:control");
        assert_eq!(door.me(&tokens.access).await.json()["id"], door.ada.to_string());
    }

    async fn consent_is_remembered_for_what_was_agreed_to_and_no_more(door) {
        let web = door.web().await;
        let mut browser = door.browser();
        browser.code(&web).await;
        let again = browser.get(&authorize_path(&web, &[])).await;
        assert!(redirected(&again).contains_key("code"));
        let silent = browser.get(&authorize_path(&web, &[("prompt", "none")])).await;
        assert!(redirected(&silent).contains_key("code"));
        let more = browser.get(&authorize_path(&web, &[("scope", "devices:read history:read")])).await;
        assert!(more.text.contains("value=\"allow\""));
        let asked = browser.get(&authorize_path(&web, &[("prompt", "consent")])).await;
        assert!(asked.text.contains("value=\"allow\""));
        // Of a native app nobody knows who listens at the other end (RFC 8252 §8.6).
        let native = door.native().await;
        let path = authorize_path(&native, &[]);
        browser.agree_signed_in(&path).await;
        assert!(browser.get(&path).await.text.contains("value=\"allow\""));
    }
}

impl super::door::Browser<'_> {
    async fn agree_signed_in(&mut self, path: &str) {
        let consent = self.get(path).await;
        let done = self.submit(path, &consent, &[("action", "allow")]).await;
        assert!(redirected(&done).contains_key("code"));
    }
}

#[tokio::test]
async fn a_fault_goes_to_the_client_by_redirect() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let service = door
        .client(ostler_core::client::ClientRegistration {
            flows: super::door::texts(&["client_credentials"]),
            ..super::door::web()
        })
        .await;
    for (client, changes, expected) in [
        (&web, vec![("response_type", "")], "invalid_request"),
        (&web, vec![("response_type", "token")], "unsupported_response_type"),
        (&web, vec![("response_mode", "fragment")], "invalid_request"),
        (&web, vec![("code_challenge", "")], "invalid_request"),
        (&web, vec![("code_challenge_method", "")], "invalid_request"),
        (&web, vec![("code_challenge_method", "plain")], "invalid_request"),
        (&web, vec![("code_challenge", "short")], "invalid_request"),
        (&web, vec![("prompt", "none login")], "invalid_request"),
        (&web, vec![("prompt", "dance")], "invalid_request"),
        (&web, vec![("scope", "nonsense")], "invalid_scope"),
        (&web, vec![("scope", "account")], "invalid_scope"),
        (&web, vec![("scope", "admin:read")], "invalid_scope"),
        (&web, vec![("request", "x.y.z")], "request_not_supported"),
        (
            &web,
            vec![("request_uri", "https://x.example/")],
            "request_uri_not_supported",
        ),
        (&web, vec![("prompt", "none")], "login_required"),
        (&service, vec![], "unauthorized_client"),
    ] {
        let answer = redirected(&door.browser().get(&authorize_path(client, &changes)).await);
        assert_eq!(answer["error"], expected, "{changes:?}");
        assert_eq!(
            (answer["state"].as_str(), answer["iss"].as_str()),
            ("s t&te", "https://api.example.com")
        );
    }
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let door = Door::sqlite().await;
    let (web, ended) = (door.web().await, door.web().await);
    door.app
        .end_client(ended.client.id, ostler_store::Actor::System)
        .await
        .unwrap();
    let native = door.native().await;
    for (client, changes) in [
        (&web, vec![("client_id", "cli_01h455vb4pex5vsknk084sn02q")]),
        (&web, vec![("client_id", "nonsense")]),
        (&web, vec![("redirect_uri", "https://evil.example/callback")]),
        (&web, vec![("redirect_uri", "https://web.example.com/callback/")]),
        (&web, vec![("redirect_uri", "https://web.example.com/callback?x=1")]),
        (&web, vec![("redirect_uri", "https://web.example.com:443/callback")]),
        (&web, vec![("redirect_uri", "https://WEB.example.com/callback")]),
        (
            &native,
            vec![("redirect_uri", "http://127.0.0.1:1@evil.example/callback")],
        ),
        (&native, vec![("redirect_uri", "http://localhost/callback")]),
        (&ended, vec![]),
    ] {
        let answer = door.browser().get(&authorize_path(client, &changes)).await;
        assert_eq!(answer.status, 400, "{changes:?}");
        assert!(!answer.headers.contains_key(LOCATION));
        assert!(!answer.text.contains("evil"), "{}", answer.text);
    }
    let twice = format!("{}&client_id={}", authorize_path(&web, &[]), web.id());
    assert_eq!(door.browser().get(&twice).await.status, 400);
}

#[tokio::test]
async fn a_redirect_address_may_be_left_out_if_there_is_only_one() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let path = authorize_path(&web, &[("redirect_uri", "")]);
    let code = redirected(&door.browser().agree(&path).await)["code"].clone();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", super::door::VERIFIER),
    ];
    assert_eq!(door.token(&web, &pairs).await.status, 200);
}

#[tokio::test]
async fn a_customer_may_say_no_or_use_another_account() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let mut browser = door.browser();
    let path = authorize_path(&web, &[]);
    browser.sign_in(&path).await;
    let consent = browser.get(&path).await;
    let refused = browser.submit(&path, &consent, &[("action", "deny")]).await;
    assert_eq!(redirected(&refused)["error"], "access_denied");
    let silent = browser.get(&authorize_path(&web, &[("prompt", "none")])).await;
    assert_eq!(redirected(&silent)["error"], "consent_required");
    let switched = browser.submit(&path, &consent, &[("action", "switch")]).await;
    assert_eq!(switched.status, 303);
    assert!(browser.get(&path).await.text.contains("current-password"));
}

#[tokio::test]
async fn prompt_login_asks_once_although_somebody_is_signed_in() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let mut browser = door.browser();
    browser.code(&web).await;
    let path = authorize_path(&web, &[("prompt", "login")]);
    let done = browser.agree(&path).await;
    assert!(redirected(&done).contains_key("code"));
}

#[tokio::test]
async fn whether_an_account_exists_cannot_be_told() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let path = authorize_path(&web, &[]);
    let mut seen = Vec::new();
    for email in [EMAIL, "nobody@example.com", "no address", ""] {
        let mut browser = door.browser();
        let page = browser.get(&path).await;
        let refused = browser
            .submit(
                &path,
                &page,
                &[("action", "sign-in"), ("email", email), ("password", "wrong one")],
            )
            .await;
        let text = refused.text.replace(&form_token(&refused), "TOKEN");
        seen.push((refused.status, text, refused.headers.contains_key("set-cookie")));
    }
    assert_eq!(seen[0].0, 403);
    assert!(seen.iter().all(|each| *each == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn a_form_that_names_no_button_signs_in_and_agrees_to_nothing() {
    let door = Door::sqlite().await;
    let path = authorize_path(&door.web().await, &[]);
    let mut browser = door.browser();
    let page = browser.get(&path).await;
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    assert_eq!(browser.submit(&path, &page, &fields).await.status, 303);
    let consent = browser.get(&path).await;
    let answer = browser.submit(&path, &consent, &[]).await;
    assert!(
        !answer.headers.contains_key(LOCATION) && answer.status == 400,
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn guessing_gets_slower_for_that_account_alike_if_it_does_not_exist() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let path = authorize_path(&web, &[]);
    let mut browser = door.browser();
    for email in [EMAIL, "nobody@example.com"] {
        let page = browser.get(&path).await;
        let wrong = [("action", "sign-in"), ("email", email), ("password", "wrong one")];
        for _ in 0..5 {
            assert_eq!(browser.submit(&path, &page, &wrong).await.status, 403);
        }
        let slowed = browser.submit(&path, &page, &wrong).await;
        assert_eq!(
            (slowed.status.as_u16(), slowed.headers["retry-after"].to_str().unwrap()),
            (429, "1")
        );
    }
    // Nobody is locked out: a second later the right password is right.
    door.pass(std::time::Duration::from_secs(1));
    assert_eq!(browser.sign_in(&path).await.status, 303);
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_new_with_every_sign_in() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let path = authorize_path(&web, &[]);
    let mut browser = door.browser();
    let page = browser.get(&path).await;
    let before = browser.cookies["__Host-ostler_session"].clone();
    let signed_in = browser
        .submit(
            &path,
            &page,
            &[("action", "sign-in"), ("email", EMAIL), ("password", PASSWORD)],
        )
        .await;
    let field = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=43200"] {
        assert!(field.contains(attribute), "{field}");
    }
    assert!(!field.contains("Domain"));
    assert_ne!(browser.cookies["__Host-ostler_session"], before);
    // What somebody may have planted beforehand is nobody's session.
    let mut planted = door.browser();
    planted.cookies.insert("__Host-ostler_session".into(), before);
    assert!(planted.get(&path).await.text.contains("current-password"));
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let mut browser = door.browser();
    browser.code(&web).await;
    door.pass(std::time::Duration::from_secs(12 * 3600));
    assert!(
        browser
            .get(&authorize_path(&web, &[]))
            .await
            .text
            .contains("current-password")
    );
}

#[tokio::test]
async fn a_form_counts_only_from_our_page_in_that_browser_for_that_request() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let path = authorize_path(&web, &[]);
    let wider = authorize_path(&web, &[("scope", "devices:read devices:control")]);
    let mut browser = door.browser();
    browser.sign_in(&path).await;
    let consent = browser.get(&path).await;
    let token = form_token(&consent);
    let foreign = form_token(&door.browser().get(&path).await);
    let ours = Some("https://api.example.com");
    for (path, origin, token) in [
        (&path, ours, ""),
        (&path, ours, "nonsense"),
        (&path, ours, foreign.as_str()),
        (&path, Some("https://evil.example"), token.as_str()),
        (&path, Some("null"), token.as_str()),
        (&wider, ours, token.as_str()),
    ] {
        let refused = browser
            .post(path, origin, &[("action", "allow"), ("form_token", token)])
            .await;
        assert_eq!(refused.status, 400, "{path} {origin:?} {token}");
    }
    let without_cookie = door
        .browser()
        .post(&path, ours, &[("action", "allow"), ("form_token", &token)])
        .await;
    assert_eq!(without_cookie.status, 400);
    let odd = browser
        .post(&path, ours, &[("action", "dance"), ("form_token", &token)])
        .await;
    assert_eq!(odd.status, 400);
    assert_eq!(
        browser
            .post(&path, ours, &[("action", "allow"), ("form_token", &token)])
            .await
            .status,
        303
    );
}

#[tokio::test]
async fn the_pages_cannot_be_framed_and_run_no_script() {
    let door = Door::sqlite().await;
    let web = door.web().await;
    let page = door.browser().get(&authorize_path(&web, &[])).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        policy.contains("form-action 'self' https://web.example.com;"),
        "{policy}"
    );
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    // `no-referrer` would make browsers send `Origin: null` with our own forms.
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    assert!(!page.text.contains("<script"));
    assert_eq!(page.text.matches("<label").count(), 2);
    assert!(page.text.contains("<html lang=\"en\">") && page.text.contains("name=\"viewport\""));
}
