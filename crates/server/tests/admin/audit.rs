//! The audit log and its signed head, as staff read them.

use serde_json::{Value, json};

use super::created_product;
use crate::house::house;

fn acts(page: &Value) -> Vec<String> {
    let entries = page["items"].as_array().unwrap().iter();
    entries
        .flat_map(|entry| entry["acts"].as_array().unwrap())
        .map(|act| act["act"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_change_is_an_act_in_order() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    staff
        .post_nothing(&format!("/admin/v1/products/{id}/ingest-secret"))
        .await;
    let page = staff.get("/admin/v1/audit?limit=500").await.json();
    let acts = acts(&page);
    let place = |act: &str| acts.iter().position(|each| each == act);
    assert!(place("product.create") < place("ingest_secret.rotate"), "{acts:?}");
    let created = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["acts"].as_array().unwrap());
    let created = created.clone().find(|act| act["act"] == "product.create").unwrap();
    assert_eq!(created["product_id"], json!(id));
    assert!(created["actor"].as_str().unwrap().starts_with("cli_"));
}

#[tokio::test]
async fn the_log_is_read_page_after_page() {
    let house = house().await;
    let staff = house.staff().await;
    created_product(&staff).await;
    let whole = staff.get("/admin/v1/audit?limit=500").await.json();
    let mut items = Vec::new();
    let mut path = "/admin/v1/audit?limit=1".to_owned();
    loop {
        let page = staff.get(&path).await.json();
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/audit?limit=1&cursor={cursor}");
    }
    assert_eq!(json!(items), whole["items"]);
    assert!(items.len() >= 2);
}

#[tokio::test]
async fn a_head_signs_where_the_chain_ends() {
    let house = house().await;
    let staff = house.staff().await;
    let before = staff.get("/admin/v1/audit/head").await.json();
    created_product(&staff).await;
    let after = staff.get("/admin/v1/audit/head").await.json();
    assert_eq!(before["public_key"], after["public_key"]);
    assert_ne!(before["chains"][0]["hash"], after["chains"][0]["hash"]);
    assert!(before["chains"][0]["seq"].as_i64() < after["chains"][0]["seq"].as_i64());
}
