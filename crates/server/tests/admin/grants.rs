//! Making, listing and ending grants, and what their faults are called.

use serde_json::{Value, json};

use super::{CLOUD_ID, NOBODY, created_product, imported_device};
use crate::house::{House, Visitor, house};

/// A customer and a device, without a grant between them.
async fn pair(house: &House, staff: &Visitor<'_>) -> (String, String) {
    let product_id = created_product(staff).await;
    let device_id = imported_device(staff, &product_id, CLOUD_ID).await;
    (house.customer("ada@example.com").await.to_string(), device_id)
}

fn grant(customer_id: &str, device_id: &str) -> Value {
    json!({"customer_id": customer_id, "device_id": device_id, "functions": ["setTarget"]})
}

fn with(mut body: Value, mut members: Value) -> Value {
    body.as_object_mut().unwrap().append(members.as_object_mut().unwrap());
    body
}

#[tokio::test]
async fn a_grant_is_given_listed_and_ended_once() {
    let house = house().await;
    let staff = house.staff().await;
    let (customer_id, device_id) = pair(&house, &staff).await;
    let answer = staff.post("/admin/v1/grants", grant(&customer_id, &device_id)).await;
    assert_eq!(answer.status, 201);
    let given = answer.json();
    assert_eq!(
        (&given["functions"], &given["variables"]),
        (&json!(["setTarget"]), &json!(null))
    );
    assert_eq!((&given["source"], &given["ends_at"]), (&json!("staff"), &json!(null)));
    assert_eq!(given["history_from"], given["starts_at"]);

    for query in [
        format!("customer={customer_id}"),
        format!("device={device_id}"),
        String::new(),
    ] {
        let listed = staff.get(&format!("/admin/v1/grants?{query}")).await.json();
        assert_eq!(listed["items"][0], given, "{query}");
    }
    let other = staff
        .get(&format!("/admin/v1/grants?customer=cus_{NOBODY}"))
        .await
        .json();
    assert_eq!(other["items"], json!([]));

    let address = format!("/admin/v1/grants/{}", given["id"].as_str().unwrap());
    let ended = staff
        .post(&format!("{address}/end"), json!({"reason": "sold"}))
        .await
        .json();
    assert_eq!(ended["in_flight"], json!([]));
    let again = staff.post_nothing(&format!("{address}/end")).await;
    assert_eq!(again.json(), ended);
    let read = staff.get(&address).await.json();
    assert_eq!(
        (&read["ends_at"], &read["reason"]),
        (&ended["ended_at"], &json!("sold"))
    );
    let versions = read["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(
        (&versions[0]["ends_at"], &versions[1]["ends_at"]),
        (&json!(null), &ended["ended_at"])
    );
}

#[tokio::test]
async fn all_is_granted_only_when_it_is_said() {
    let house = house().await;
    let staff = house.staff().await;
    let (customer_id, device_id) = pair(&house, &staff).await;
    let mut body = grant(&customer_id, &device_id);
    body.as_object_mut().unwrap().remove("functions");
    let answer = staff.post("/admin/v1/grants", body.clone()).await;
    assert_eq!(answer.problem(), "400 invalid-request [/functions: is required]");
    let all = staff
        .post("/admin/v1/grants", with(body, json!({"functions": null})))
        .await
        .json();
    assert_eq!(all["functions"], json!(null));
    let none = with(
        grant(&customer_id, &device_id),
        json!({"functions": [], "variables": [], "keys": []}),
    );
    let none = staff.post("/admin/v1/grants", none).await.json();
    assert_eq!((&none["functions"], &none["keys"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn every_fault_of_a_grant_is_named() {
    let house = house().await;
    let staff = house.staff().await;
    let (customer_id, device_id) = pair(&house, &staff).await;
    let body = with(
        grant(&customer_id, &device_id),
        json!({
            "functions": ["setTarget", "unlock"], "variables": ["humidity"], "keys": ["t/state"],
            "starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-02T00:00:00Z",
        }),
    );
    let rule = "must be one that the product declares";
    assert_eq!(
        staff.post("/admin/v1/grants", body).await.problem(),
        format!(
            "400 invalid-request [/functions/1: {rule}] [/variables/0: {rule}] [/keys/0: {rule}] \
             [/ends_at: must be after `starts_at`]"
        )
    );
    for (members, expected) in [
        (
            json!({"ends_at": "soon"}),
            "400 invalid-request [/ends_at: must be a time as RFC 3339 writes it, such as 2030-05-01T10:00:00.000Z]",
        ),
        (
            json!({"source": "friend"}),
            "400 invalid-request [/source: must be one of `owner`, `share`, `guest`, `rental`, `staff`]",
        ),
        (
            json!({"end_at": null}),
            "400 invalid-request [/end_at: is not a member here]",
        ),
        (
            json!({"customer_id": format!("cus_{NOBODY}")}),
            "404 not-found [/customer_id: must be a customer]",
        ),
        (
            json!({"device_id": format!("dev_{NOBODY}")}),
            "404 not-found [/device_id: must be a device within reach]",
        ),
    ] {
        let answer = staff
            .post("/admin/v1/grants", with(grant(&customer_id, &device_id), members))
            .await;
        assert_eq!(answer.problem(), expected);
    }
    assert_eq!(staff.get("/admin/v1/grants").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_device_has_one_owner_until_that_one_ends() {
    let house = house().await;
    let staff = house.staff().await;
    let (customer_id, device_id) = pair(&house, &staff).await;
    let bob = house.customer("bob@example.com").await.to_string();
    let owner = |customer_id: &str| with(grant(customer_id, &device_id), json!({"source": "owner"}));
    let first = staff.post("/admin/v1/grants", owner(&customer_id)).await.json();
    let answer = staff.post("/admin/v1/grants", owner(&bob)).await;
    assert_eq!(answer.problem(), "409 conflict");
    staff
        .post_nothing(&format!("/admin/v1/grants/{}/end", first["id"].as_str().unwrap()))
        .await;
    assert_eq!(staff.post("/admin/v1/grants", owner(&bob)).await.status, 201);
}

#[tokio::test]
async fn owners_who_come_at_once_are_one() {
    let house = house().await;
    let staff = house.staff().await;
    let (_, device_id) = pair(&house, &staff).await;
    let mut asked = Vec::new();
    for number in 0..8 {
        let customer_id = house.customer(&format!("c{number}@example.com")).await.to_string();
        let body = with(grant(&customer_id, &device_id), json!({"source": "owner"}));
        let staff = staff.clone();
        asked.push(async move { staff.post("/admin/v1/grants", body).await.status.as_u16() });
    }
    let mut statuses = futures_util::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}
