//! Machines that are bound to products, and scopes that open other doors.

use serde_json::json;

use super::{CLOUD_ID, OTHER_CLOUD_ID, created_product, imported_device, product_from, thermostat};
use crate::house::house;

#[tokio::test]
async fn what_is_out_of_reach_does_not_exist() {
    let house = house().await;
    let staff = house.staff().await;
    let mine = created_product(&staff).await;
    let mut file = thermostat();
    file["slug"] = json!("theirs");
    let theirs = product_from(&staff, file.clone()).await;
    let my_device = imported_device(&staff, &mine, CLOUD_ID).await;
    let their_device = imported_device(&staff, &theirs, OTHER_CLOUD_ID).await;
    let customer_id = house.customer("ada@example.com").await;
    let grant = |device: &str| json!({"customer_id": customer_id.to_string(), "device_id": device, "functions": null});
    let their_grant = staff.post("/admin/v1/grants", grant(&their_device)).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let bound = house.bound_machine(&["admin:read", "admin:write"], &[&mine]).await;
    let paths = [
        format!("/admin/v1/products/{theirs}"),
        format!("/admin/v1/products/{theirs}/versions"),
        format!("/admin/v1/products/{theirs}/export"),
        format!("/admin/v1/products/{theirs}/cloud"),
        format!("/admin/v1/devices/{their_device}"),
        format!("/admin/v1/grants/{their_grant}"),
    ];
    for path in &paths {
        assert_eq!(bound.get(path).await.problem(), "404 not-found", "{path}");
    }
    let posts = [
        (format!("/admin/v1/products/{theirs}/revert"), json!({"version": 1})),
        (format!("/admin/v1/products/{theirs}/ingest-secret"), json!({})),
        (format!("/admin/v1/products/{theirs}/registration-key"), json!({})),
        (format!("/admin/v1/products/{theirs}/webhook"), json!({})),
        (format!("/admin/v1/products/{theirs}/devices/import"), json!({})),
        (
            format!("/admin/v1/devices/{their_device}/quarantine"),
            json!({"reason": "x"}),
        ),
        (format!("/admin/v1/grants/{their_grant}/end"), json!({})),
    ];
    for (path, body) in posts {
        assert_eq!(bound.post(&path, body).await.problem(), "404 not-found", "{path}");
    }
    assert_eq!(
        bound.put(&format!("/admin/v1/products/{theirs}"), file).await.problem(),
        "404 not-found"
    );
    assert_eq!(bound.post("/admin/v1/grants", grant(&their_device)).await.status, 404);
    let import = json!({"product_id": theirs, "devices": [{"cloud_id": CLOUD_ID}]});
    assert_eq!(bound.post("/admin/v1/devices", import).await.status, 404);

    let listed = bound.get("/admin/v1/devices").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["id"], json!(my_device));
    assert_eq!(
        bound.get(&format!("/admin/v1/devices?product={theirs}")).await.json()["items"],
        json!([])
    );
    assert_eq!(
        bound.get("/admin/v1/products").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(bound.get("/admin/v1/grants").await.json()["items"], json!([]));
    assert_eq!(bound.post("/admin/v1/grants", grant(&my_device)).await.status, 201);
    assert_eq!(
        staff.get(&format!("/admin/v1/grants/{their_grant}")).await.json()["ended_at"],
        json!(null)
    );
}

#[tokio::test]
async fn what_belongs_to_no_product_is_for_those_who_reach_all() {
    let house = house().await;
    let staff = house.staff().await;
    let mine = created_product(&staff).await;
    let bound = house.bound_machine(&["admin:read", "admin:write"], &[&mine]).await;
    for path in ["/admin/v1/audit", "/admin/v1/audit/head"] {
        assert_eq!(bound.get(path).await.problem(), "403 insufficient-scope");
    }
    let mut file = thermostat();
    file["slug"] = json!("mine-too");
    assert_eq!(
        bound.post("/admin/v1/products", file).await.problem(),
        "403 insufficient-scope"
    );
}

#[tokio::test]
async fn reading_is_not_writing_and_a_fleet_key_is_neither() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let reader = house.machine(&["admin:read"]).await;
    assert_eq!(reader.get(&format!("/admin/v1/products/{id}")).await.status, 200);
    for path in [
        format!("/admin/v1/products/{id}"),
        format!("/admin/v1/products/{id}?dry_run=true"),
    ] {
        assert_eq!(
            reader.put(&path, thermostat()).await.problem(),
            "403 insufficient-scope"
        );
    }
    let fleet = house.machine(&["fleet:read", "fleet:control"]).await;
    for path in [
        "/admin/v1/products",
        "/admin/v1/devices",
        "/admin/v1/grants",
        "/admin/v1/commands",
        "/admin/v1/audit",
    ] {
        assert_eq!(fleet.get(path).await.problem(), "403 insufficient-scope", "{path}");
    }
}
