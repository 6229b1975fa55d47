//! The staff API for customers and clients.

use serde_json::json;

use super::door::EMAIL;
use crate::house::house;
use crate::world::Answer;

fn pointers(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let document = answer.json();
    document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_customers_account_is_made_listed_and_closed() {
    let house = house().await;
    let staff = house.staff().await;
    let made = staff
        .post(
            "/admin/v1/customers",
            json!({"email": "Ada@Example.com", "password": "correct horse", "name": "Ada"}),
        )
        .await;
    assert_eq!(made.status, 201);
    let path = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(staff.get(&path).await.json(), made.json());
    assert_eq!(made.json()["email"], EMAIL);

    let again = staff.post("/admin/v1/customers", json!({"email": EMAIL})).await;
    assert_eq!(
        (again.status.as_u16(), again.json()["code"].as_str()),
        (409, Some("conflict"))
    );
    staff
        .post("/admin/v1/customers", json!({"email": "bob@example.com"}))
        .await;
    let page = staff.get("/admin/v1/customers?limit=1").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let next = format!(
        "/admin/v1/customers?limit=1&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    assert_eq!(staff.get(&next).await.json()["items"][0]["email"], "bob@example.com");

    let closed = staff.post_nothing(&format!("{path}/close")).await;
    assert!(closed.json()["closed_at"].is_string());
    assert_eq!(staff.post_nothing(&format!("{path}/close")).await.json(), closed.json());
    assert_eq!(
        staff
            .get("/admin/v1/customers/cus_01h455vb4pex5vsknk084sn02q")
            .await
            .status,
        404
    );
    assert_eq!(
        staff.post_nothing("/admin/v1/customers/nonsense/close").await.status,
        404
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_named() {
    let house = house().await;
    let staff = house.staff().await;
    for (body, pointer) in [
        (json!({}), "/email"),
        (json!({"email": "no address"}), "/email"),
        (json!({"email": "a@b.c", "password": "short"}), "/password"),
        (json!({"email": "a@b.c", "name": " "}), "/name"),
        (json!({"email": "a@b.c", "name": "x".repeat(101)}), "/name"),
        (json!({"email": "a@b.c", "products": ["nonsense"]}), "/products/0"),
        (
            json!({"email": "a@b.c", "products": ["prd_01h455vb4pex5vsknk084sn02q"]}),
            "/products",
        ),
        (json!({"email": "a@b.c", "role": "owner"}), "/role"),
    ] {
        assert_eq!(
            pointers(&staff.post("/admin/v1/customers", body.clone()).await),
            [pointer],
            "{body}"
        );
    }
    assert!(
        staff.get("/admin/v1/customers").await.json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_clients_secret_is_told_once_and_can_be_replaced() {
    let house = house().await;
    let staff = house.staff().await;
    let made = staff
        .post(
            "/admin/v1/clients",
            json!({"name": "Jobs", "kind": "confidential", "flows": ["client_credentials"],
            "scopes": ["fleet:read", "fleet:control"], "default_scopes": ["fleet:read"], "refresh_policy": "none"}),
        )
        .await;
    assert_eq!(made.status, 201);
    let path = made.headers["location"].to_str().unwrap().to_owned();
    let first = made.json()["client_secret"].as_str().unwrap().to_owned();
    let shown = staff.get(&path).await;
    assert!(!shown.text.contains(&first) && shown.json().get("client_secret").is_none());
    assert_eq!(shown.json()["default_scopes"], json!(["fleet:read"]));

    let second = staff.post_nothing(&format!("{path}/secret")).await.json()["client_secret"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    let id = made.json()["client_id"].as_str().unwrap().to_owned();
    let good = |secret: &str| {
        let presented = ostler_app::identity::PresentedClient {
            client_id: id.clone(),
            secret: Some(ostler_core::secret::ClientSecret::presented(secret.to_owned())),
        };
        let app = std::sync::Arc::clone(&house.app);
        async move { app.authenticate_client(&presented).await.is_ok() }
    };
    assert!(!good(&first).await && good(&second).await);

    let changed = staff.patch(&path, json!({"name": "Night jobs", "products": []})).await;
    assert_eq!(
        (&changed.json()["name"], &changed.json()["products"]),
        (&json!("Night jobs"), &json!([]))
    );
    let ended = staff.post_nothing(&format!("{path}/end")).await;
    assert!(ended.json()["ended_at"].is_string());
    assert_eq!(staff.post_nothing(&format!("{path}/end")).await.json(), ended.json());
    assert_eq!(staff.patch(&path, json!({"name": "x"})).await.status, 404);
    assert!(!good(&second).await);
}

#[tokio::test]
async fn what_is_wrong_with_a_client_is_named() {
    let house = house().await;
    let staff = house.staff().await;
    let sound = json!({"name": "App", "kind": "public", "flows": ["authorization_code"],
        "redirect_uris": ["com.example.app:/cb"], "scopes": ["devices:read"], "refresh_policy": "rotating"});
    let made = staff.post("/admin/v1/clients", sound.clone()).await;
    assert_eq!((made.status.as_u16(), made.json().get("client_secret")), (201, None));
    let path = made.headers["location"].to_str().unwrap().to_owned();
    for (change, expected) in [
        (json!({"name": ""}), vec!["/name"]),
        (
            json!({"redirect_uris": ["http://app.example.com/"]}),
            vec!["/redirect_uris/0"],
        ),
        (json!({"scopes": ["devices:read", "admin:write"]}), vec!["/scopes"]),
        (json!({"scopes": ["nonsense"]}), vec!["/scopes/0"]),
        (json!({"refresh_policy": "linking"}), vec!["/refresh_policy"]),
        (json!({"cors_origins": ["*"]}), vec!["/cors_origins/0"]),
        (json!({"default_scopes": ["account"]}), vec!["/default_scopes"]),
        (json!({"name": "", "flows": []}), vec!["/name", "/flows"]),
    ] {
        let mut body = sound.clone();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            pointers(&staff.post("/admin/v1/clients", body).await),
            expected,
            "{change}"
        );
    }
    assert_eq!(
        pointers(&staff.patch(&path, json!({"scopes": ["admin:read"]})).await)[0],
        "/scopes"
    );
    assert_eq!(staff.post_nothing(&format!("{path}/secret")).await.status, 404);
    assert_eq!(
        staff.get("/admin/v1/clients").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn who_is_bound_to_products_has_no_part_in_accounts() {
    let house = house().await;
    let bound = house.bound_machine(&["admin:read", "admin:write"], &[]).await;
    assert_eq!(
        bound
            .post("/admin/v1/customers", json!({"email": "a@b.c"}))
            .await
            .status,
        404
    );
    for list in ["/admin/v1/customers", "/admin/v1/clients"] {
        assert!(bound.get(list).await.json()["items"].as_array().unwrap().is_empty());
    }
    assert_eq!(
        bound
            .get("/admin/v1/clients/cli_01h455vb4pex5vsknk084sn02q")
            .await
            .status,
        404
    );
}
