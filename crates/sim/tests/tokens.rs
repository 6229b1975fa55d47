//! Who gets a token, how long it lives, and what it may do (reference §2).

use ostler_sim::{LockoutScope, SimConfig};
use serde_json::json;

use crate::support::{Cloud, quiet, reply};

#[tokio::test]
async fn a_product_client_gets_a_product_token() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    let reply = cloud
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &product.client_id),
            ("client_secret", &product.client_secret),
        ])
        .await;
    assert_eq!(reply.status, 200);
    let token = reply.json();
    assert_eq!(
        (&token["token_type"], &token["expires_in"]),
        (&json!("bearer"), &json!(7_776_000))
    );
    let text = token["access_token"].as_str().unwrap();
    assert!(text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(cloud.get(text, "/v1/products/thermostat/devices").await.status, 200);
    // Other products and the account's own list stay closed.
    assert_eq!(cloud.get(text, "/v1/products/vehicle/devices").await.status, 403);
    assert_eq!(cloud.get(text, "/v1/devices").await.status, 403);
}

#[tokio::test]
async fn the_makers_password_gets_a_user_token() {
    let cloud = Cloud::start().await;
    let facts = cloud.handle.facts();
    let request = cloud
        .http
        .post(cloud.url("/oauth/token"))
        .basic_auth("particle", Some("particle"))
        .form(&[
            ("grant_type", "password"),
            ("username", &facts.username),
            ("password", &facts.password),
        ]);
    let token = reply(request).await.json();
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(
        cloud.get(token, "/v1/user").await.json()["username"],
        json!(facts.username)
    );
    assert_eq!(
        cloud.get(token, "/v1/products").await.json()["products"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_token_expires_by_the_simulated_clock() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", product.client_id.as_str()),
        ("client_secret", product.client_secret.as_str()),
        ("expires_in", "60"),
    ];
    let token = cloud.token(&fields).await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.handle.advance_ms(59_999);
    assert_eq!(cloud.get(&token, "/v1/access_tokens/current").await.status, 200);
    cloud.handle.advance_ms(1);
    let refused = cloud.get(&token, "/v1/access_tokens/current").await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.json()["error_description"],
        "The access token provided has expired."
    );
}

#[tokio::test]
async fn a_refresh_token_works_once_and_only_for_its_client() {
    let cloud = Cloud::start().await;
    let (thermostat, vehicle) = (cloud.product("thermostat"), cloud.product("vehicle"));
    let minted = cloud
        .token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &thermostat.client_id),
            ("client_secret", &thermostat.client_secret),
        ])
        .await
        .json();
    let refresh_token = minted["refresh_token"].as_str().unwrap();
    let refresh = |id: String, secret: String| {
        let cloud = &cloud;
        async move {
            let fields = [
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token),
                ("client_id", id.as_str()),
                ("client_secret", secret.as_str()),
            ];
            cloud.token(&fields).await
        }
    };
    assert_eq!(refresh(vehicle.client_id, vehicle.client_secret).await.status, 400);
    let again = refresh(thermostat.client_id.clone(), thermostat.client_secret.clone()).await;
    assert_eq!(again.status, 200);
    let token = again.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(cloud.get(&token, "/v1/products/thermostat/devices").await.status, 200);
    let spent = refresh(thermostat.client_id, thermostat.client_secret).await;
    assert_eq!(
        (spent.status, spent.json()["error"].clone()),
        (400, json!("invalid_grant"))
    );
}

#[tokio::test]
async fn json_is_refused_where_only_a_form_will_do() {
    let cloud = Cloud::start().await;
    let refused = cloud
        .post("x", "/oauth/token", json!({"grant_type": "client_credentials"}))
        .await;
    assert_eq!(
        (refused.status, refused.json()["error"].clone()),
        (400, json!("invalid_request"))
    );
}

#[tokio::test]
async fn ten_failures_lock_the_address_out_for_half_an_hour() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    let wrong = [
        ("grant_type", "client_credentials"),
        ("client_id", &product.client_id),
        ("client_secret", "no"),
    ];
    for _ in 0..10 {
        let refused = cloud.token(&wrong).await;
        assert_eq!(
            (refused.status, refused.json()["error"].clone()),
            (400, json!("invalid_client"))
        );
    }
    let right = [
        ("grant_type", "client_credentials"),
        ("client_id", &product.client_id),
        ("client_secret", &product.client_secret),
    ];
    assert_eq!(cloud.token(&right).await.status, 429);
    cloud.handle.advance_ms(30 * 60_000);
    assert_eq!(cloud.token(&right).await.status, 200);
}

#[tokio::test]
async fn in_a_demo_the_lock_out_spares_other_clients() {
    let cloud = Cloud::with(SimConfig {
        lockout: LockoutScope::PerClient,
        ..quiet()
    })
    .await;
    let (thermostat, vehicle) = (cloud.product("thermostat"), cloud.product("vehicle"));
    for _ in 0..10 {
        let wrong = [
            ("grant_type", "client_credentials"),
            ("client_id", &thermostat.client_id),
            ("client_secret", "no"),
        ];
        cloud.token(&wrong).await;
    }
    for (client, status) in [(thermostat, 429), (vehicle, 200)] {
        let right = [
            ("grant_type", "client_credentials"),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
        ];
        assert_eq!(cloud.token(&right).await.status, status);
    }
}

#[tokio::test]
async fn an_api_user_has_exactly_its_scopes_and_one_token() {
    let cloud = Cloud::start().await;
    let facts = cloud.handle.facts();
    let maker = [
        ("grant_type", "password"),
        ("username", &facts.username),
        ("password", &facts.password),
        ("client_id", "particle"),
        ("client_secret", "particle"),
    ];
    let maker = cloud.token(&maker).await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let team = "/v1/products/thermostat/team";
    let created = cloud
        .post(
            &maker,
            team,
            json!({"friendly_name": "ostler", "scopes": ["devices:list", "events:get"]}),
        )
        .await;
    let created = created.json()["created"].clone();
    let (name, old) = (
        created["username"].as_str().unwrap(),
        created["tokens"][0]["token"].as_str().unwrap(),
    );
    assert_eq!(cloud.get(old, "/v1/products/thermostat/devices").await.status, 200);
    let device = cloud.device("thermostat");
    let refused = cloud
        .get(old, &format!("/v1/products/thermostat/devices/{device}/target"))
        .await;
    assert_eq!(
        (refused.status, refused.json()["error"].clone()),
        (400, json!("unauthorized"))
    );
    let refused = cloud.get(old, "/v1/user").await.json();
    assert_eq!(
        refused["error_description"],
        "API users are not allowed to call this endpoint"
    );

    let updated = cloud
        .put(
            &maker,
            &format!("{team}/{name}"),
            json!({"scopes": ["devices.variable:get"]}),
        )
        .await;
    let new = updated.json()["updated"]["tokens"][0]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(cloud.get(old, "/v1/products/thermostat/devices").await.status, 401);
    assert_eq!(
        cloud
            .get(&new, &format!("/v1/products/thermostat/devices/{device}/target"))
            .await
            .status,
        200
    );
    assert_eq!(cloud.delete(&maker, &format!("{team}/{name}")).await.status, 204);
    assert_eq!(cloud.get(&new, "/v1/access_tokens/current").await.status, 401);
}

#[tokio::test]
async fn a_customers_token_reaches_its_own_devices_only() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    let customers = "/v1/products/thermostat/customers";
    let create = |email: &'static str| {
        let (cloud, product) = (&cloud, &product);
        let request = cloud
            .http
            .post(cloud.url(customers))
            .basic_auth(&product.client_id, Some(&product.client_secret))
            .json(&json!({"email": email, "no_password": true}));
        async move { reply(request).await }
    };
    let created = create("Lamp-Owner@Example.com").await;
    assert_eq!(created.json()["scope"], "customer=lamp-owner@example.com");
    let token = created.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(create("lamp-owner@example.com").await.status, 400);

    // It owns nothing yet, so it is not in the list: the reference's trap.
    let server = cloud.product_token("thermostat");
    assert_eq!(cloud.get(&server, customers).await.json()["customers"], json!([]));
    let device = cloud.device("thermostat");
    assert_eq!(cloud.get(&token, &format!("/v1/devices/{device}")).await.status, 403);
    let claimed = cloud.post(&token, "/v1/devices", json!({"id": device})).await;
    assert_eq!((claimed.status, claimed.json()["ok"].clone()), (200, json!(true)));
    assert_eq!(
        cloud.get(&token, &format!("/v1/devices/{device}")).await.json()["owner"],
        "lamp-owner@example.com"
    );
    assert_eq!(
        cloud.get(&server, customers).await.json()["customers"][0]["username"],
        "lamp-owner@example.com"
    );
    assert_eq!(cloud.get(&token, "/v1/products/thermostat/devices").await.status, 403);

    let removed = cloud
        .delete(&server, &format!("{customers}/lamp-owner@example.com"))
        .await;
    assert_eq!(removed.status, 200);
    assert_eq!(cloud.get(&token, "/v1/devices").await.status, 401);
}
