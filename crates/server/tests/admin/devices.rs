//! Importing, naming and quarantining devices.

use serde_json::json;

use super::{CLOUD_ID, NOBODY, OTHER_CLOUD_ID, created_product, imported_device, product_from, thermostat};
use crate::house::house;

#[tokio::test]
async fn importing_again_changes_nothing() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let body = json!({"product_id": product_id, "devices": [
        {"cloud_id": CLOUD_ID.to_uppercase(), "name": "Hall"}, {"cloud_id": "e00f"}, {"cloud_id": CLOUD_ID},
    ]});
    let dry = staff.post("/admin/v1/devices?dry_run=true", body.clone()).await.json();
    assert_eq!(dry["created"], json!([{"cloud_id": CLOUD_ID, "id": null}]));
    assert_eq!(staff.get("/admin/v1/devices").await.json()["items"], json!([]));

    let first = staff.post("/admin/v1/devices", body.clone()).await.json();
    let id = first["created"][0]["id"].clone();
    assert_eq!(
        first["invalid"],
        json!([{"cloud_id": "e00f", "rule": "must be 24 hexadecimal digits"}])
    );
    let again = staff.post("/admin/v1/devices", body).await.json();
    assert_eq!(
        (&again["created"], &again["existing"]),
        (&json!([]), &json!([{"cloud_id": CLOUD_ID, "id": id}]))
    );
    let listed = staff
        .get(&format!("/admin/v1/devices?product={product_id}"))
        .await
        .json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed["items"][0]["name"], &listed["items"][0]["cloud_id"]),
        (&json!("Hall"), &json!(CLOUD_ID))
    );
}

#[tokio::test]
async fn a_device_is_in_one_product_only() {
    let house = house().await;
    let staff = house.staff().await;
    let first = created_product(&staff).await;
    let mut file = thermostat();
    file["slug"] = json!("second");
    let second = product_from(&staff, file).await;
    imported_device(&staff, &first, CLOUD_ID).await;
    let body = json!({"product_id": second, "devices": [{"cloud_id": CLOUD_ID}]});
    for query in ["", "?dry_run=true"] {
        let answer = staff
            .post(&format!("/admin/v1/devices{query}"), body.clone())
            .await
            .json();
        assert_eq!(
            answer["invalid"],
            json!([{"cloud_id": CLOUD_ID, "rule": "belongs to another product"}])
        );
    }
}

#[tokio::test]
async fn a_device_is_named_noted_and_given_a_time_zone() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let id = imported_device(&staff, &product_id, CLOUD_ID).await;
    let address = format!("/admin/v1/devices/{id}");
    let changes = json!({"notes": "second floor\nleft", "time_zone": "America/New_York"});
    let changed = staff.patch(&address, changes).await.json();
    assert_eq!(
        (&changed["name"], &changed["time_zone"]),
        (&json!("Hall"), &json!("America/New_York"))
    );
    let removed = staff.patch(&address, json!({"name": "", "time_zone": ""})).await.json();
    assert_eq!(
        (&removed["name"], &removed["notes"]),
        (&json!(null), &json!("second floor\nleft"))
    );
    assert_eq!(removed["time_zone"], json!(null));
    for (body, expected) in [
        (
            json!({"time_zone": "Berlin"}),
            "/time_zone: must be a time zone of the IANA database, such as Europe/Berlin",
        ),
        (
            json!({"name": "x".repeat(101)}),
            "/name: must be at most 100 bytes long",
        ),
        (json!({"name": "a\nb"}), "/name: must not contain control characters"),
        (json!({"owner": "me"}), "/owner: is not a member here"),
    ] {
        let answer = staff.patch(&address, body).await;
        assert_eq!(answer.problem(), format!("400 invalid-request [{expected}]"));
    }
    assert_eq!(staff.get(&address).await.json(), removed);
}

#[tokio::test]
async fn quarantine_is_set_once_and_taken_back() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let id = imported_device(&staff, &product_id, CLOUD_ID).await;
    let address = format!("/admin/v1/devices/{id}/quarantine");
    let first = staff.post(&address, json!({"reason": "stolen"})).await.json();
    assert!(first["quarantined_at"].is_string());
    let again = staff.post(&address, json!({"reason": "again"})).await.json();
    assert_eq!(again["quarantined_at"], first["quarantined_at"]);
    assert_eq!(staff.delete(&address).await.json()["quarantined_at"], json!(null));
    assert_eq!(
        staff.post(&address, json!({})).await.problem(),
        "400 invalid-request [/reason: is required]"
    );

    let audit = staff.get("/admin/v1/audit?limit=500").await.json().to_string();
    assert!(
        audit.contains("device.quarantine") && audit.contains("stolen"),
        "{audit}"
    );
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    for id in ["x", &format!("dev_{NOBODY}")] {
        assert_eq!(
            staff.get(&format!("/admin/v1/devices/{id}")).await.problem(),
            "404 not-found"
        );
        let answer = staff.patch(&format!("/admin/v1/devices/{id}"), json!({})).await;
        assert_eq!(answer.problem(), "404 not-found");
        let answer = staff
            .post(&format!("/admin/v1/devices/{id}/quarantine"), json!({"reason": "x"}))
            .await;
        assert_eq!(answer.problem(), "404 not-found");
    }
    let body = json!({"product_id": format!("prd_{NOBODY}"), "devices": [{"cloud_id": OTHER_CLOUD_ID}]});
    let answer = staff.post("/admin/v1/devices", body).await;
    assert_eq!(
        answer.problem(),
        "404 not-found [/product_id: must be a product within reach]"
    );
    let other = staff
        .get(&format!("/admin/v1/devices?product=prd_{NOBODY}"))
        .await
        .json();
    assert_eq!(other["items"], json!([]), "{product_id}");
}
