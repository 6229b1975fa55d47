//! The ledger of commands, as staff read it.

use serde_json::json;

use super::{CLOUD_ID, NOBODY, created_product, imported_device};
use crate::house::house;

#[tokio::test]
async fn the_ledger_shows_who_called_and_why() {
    let house = house().await;
    let staff = house.staff().await;
    let fleet = house.machine(&["fleet:control"]).await;
    let product_id = created_product(&staff).await;
    let device_id = imported_device(&staff, &product_id, CLOUD_ID).await;
    // The product has no cloud connection: the call is refused before anything leaves.
    let call = json!({"argument": "20", "reason": "ticket 4711"});
    let answer = fleet
        .post(&format!("/admin/v1/devices/{device_id}/functions/setTarget"), call)
        .await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let command_id = answer.json()["command_id"].as_str().unwrap().to_owned();

    let command = staff.get(&format!("/admin/v1/commands/{command_id}")).await.json();
    assert_eq!(
        (&command["reason"], &command["customer_id"]),
        (&json!("ticket 4711"), &json!(null))
    );
    assert_eq!(
        (&command["status"], &command["upstream"]),
        (&json!("refused"), &json!({"code": "not-connected"}))
    );
    assert!(command["client_id"].as_str().unwrap().starts_with("cli_"));
    for (query, count) in [
        (format!("device={device_id}"), 1),
        (format!("product={product_id}&status=refused"), 1),
        ("status=answered".to_owned(), 0),
        (format!("customer=cus_{NOBODY}"), 0),
    ] {
        let listed = staff.get(&format!("/admin/v1/commands?{query}")).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let house = house().await;
    let staff = house.staff().await;
    for (query, parameter) in [
        ("status=done", "status"),
        ("device=x", "device"),
        ("cursor=x", "cursor"),
    ] {
        let answer = staff.get(&format!("/admin/v1/commands?{query}")).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["errors"][0]["parameter"], parameter);
    }
    assert_eq!(
        staff.get(&format!("/admin/v1/commands/cmd_{NOBODY}")).await.problem(),
        "404 not-found"
    );
}
