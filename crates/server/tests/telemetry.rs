//! Deliveries in, history out, over the real router.

use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, Request};
use ostler_core::registration::RegistrationKey;
use serde_json::{Value, json};

use crate::admin::{CLOUD_ID, NOBODY, OTHER_CLOUD_ID, created_product, imported_device, thermostat};
use crate::contract::contract;
use crate::house::{House, Visitor, house};
use crate::world::{Answer, ask};

const INGEST: &str = "/ingest/particle/thermostat";
const REGISTER: &str = "/ingest/registrations/thermostat";

/// Posts to an ingest address, with whatever the device cloud might send.
async fn post(house: &House, path: &str, secret: Option<&str>, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header(CONTENT_TYPE, content_type);
    let request = match secret {
        Some(secret) => request.header(AUTHORIZATION, format!("Bearer {secret}")),
        None => request,
    };
    let answer = ask(&house.router, request.body(body.into()).unwrap()).await;
    contract().fits(&Method::POST, path, &answer);
    answer
}

fn published(cloud_id: &str, name: &str, data: &str, at: &str) -> String {
    json!({"event": name, "data": data, "coreid": cloud_id, "published_at": at}).to_string()
}

async fn ingest_secret(staff: &Visitor<'_>, product_id: &str) -> String {
    let made = staff
        .post_nothing(&format!("/admin/v1/products/{product_id}/ingest-secret"))
        .await
        .json();
    made["ingest_secret"].as_str().unwrap().to_owned()
}

/// A device that said 20, 21, 22, 23 within the first minutes of May, and its address for reading.
async fn told(house: &House) -> (String, String) {
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let device_id = imported_device(&staff, &product_id, CLOUD_ID).await;
    let secret = ingest_secret(&staff, &product_id).await;
    for minute in 0..4 {
        let data = format!(r#"{{"t":{}}}"#, f64::from(20 + minute) + 0.5);
        let body = published(CLOUD_ID, "t/state", &data, &format!("2026-05-01T10:0{minute}:00.123Z"));
        let answer = post(house, INGEST, Some(&secret), "application/json", body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    }
    let address = format!("/admin/v1/devices/{device_id}");
    (device_id, address)
}

#[tokio::test]
async fn what_was_delivered_is_read_back() {
    let house = house().await;
    let (device_id, address) = told(&house).await;
    let fleet = house.machine(&["fleet:read"]).await;

    let latest = fleet.get(&format!("{address}/latest")).await.json();
    let value = &latest["values"][0];
    assert_eq!(
        (&value["key"], &value["value"], &value["unit"]),
        (&json!("temperature"), &json!(23.5), &json!("Cel"))
    );
    assert_eq!(value["time"], "2026-05-01T10:03:00.123Z");

    let range = "key=temperature&from=2026-05-01T10:01:00Z&to=2026-05-01T10:03:00.123Z";
    let history = fleet.get(&format!("{address}/history?{range}")).await.json();
    assert_eq!(
        history,
        json!({"device_id": device_id, "key": "temperature", "unit": "Cel", "complete": [], "next_cursor": null,
               "points": [{"time": "2026-05-01T10:01:00.123Z", "value": 21.5},
                          {"time": "2026-05-01T10:02:00.123Z", "value": 22.5}]})
    );
    let bucketed = fleet
        .get(&format!("{address}/history?{range}&bucket=PT2M"))
        .await
        .json();
    assert_eq!(
        bucketed["buckets"],
        json!([{"start": "2026-05-01T10:00:00.000Z", "count": 1, "min": 21.5, "max": 21.5, "mean": 21.5, "sum": 21.5, "last": 21.5},
               {"start": "2026-05-01T10:02:00.000Z", "count": 1, "min": 22.5, "max": 22.5, "mean": 22.5, "sum": 22.5, "last": 22.5}])
    );
    assert!(bucketed.get("points").is_none());

    let events = fleet.get(&format!("{address}/events?limit=3")).await.json();
    assert_eq!(events["items"][0]["data"], r#"{"t":20.5}"#);
    assert_eq!(events["items"][0]["published_at"], "2026-05-01T10:00:00.123Z");
    let cursor = events["next_cursor"].as_str().unwrap();
    let rest = fleet
        .get(&format!("{address}/events?limit=3&cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &json!(null))
    );
}

#[tokio::test]
async fn a_long_range_is_paged() {
    let house = house().await;
    let (_, address) = told(&house).await;
    let fleet = house.machine(&["fleet:read"]).await;
    for (query, member, at) in [("", "points", "time"), ("&bucket=PT1M", "buckets", "start")] {
        let path = format!(
            "{address}/history?key=temperature&from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z&limit=3{query}"
        );
        let first = fleet.get(&path).await.json();
        assert_eq!(first[member].as_array().unwrap().len(), 3);
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = fleet.get(&format!("{path}&cursor={cursor}")).await.json();
        assert_eq!(
            (rest[member].as_array().unwrap().len(), &rest["next_cursor"]),
            (1, &json!(null))
        );
        assert!(rest[member][0][at].as_str() > first[member][2][at].as_str());
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_names_the_parameter() {
    let house = house().await;
    let (_, address) = told(&house).await;
    let fleet = house.machine(&["fleet:read"]).await;
    let range = "from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z";
    for (query, expected) in [
        (String::new(), "400 invalid-request [key: is required]"),
        (
            "key=temperature&from=2026-05-01T00:00:00Z".into(),
            "400 invalid-request [to: is required]",
        ),
        (
            format!("key=ä&{range}"),
            "400 invalid-request [key: must be 1 to 64 letters, digits, `_` or `-`]",
        ),
        (format!("key=humidity&{range}"), "403 function-not-granted"),
        (
            "key=temperature&from=yesterday&to=2026-05-02T00:00:00Z".into(),
            "400 invalid-request [from: must be a time as RFC 3339 writes it, such as 2030-05-01T10:00:00.000Z]",
        ),
        (
            "key=temperature&from=2026-05-02T00:00:00Z&to=2026-05-02T00:00:00Z".into(),
            "400 invalid-request [to: must be after `from`]",
        ),
        (
            format!("key=temperature&{range}&bucket=P1M"),
            "400 invalid-request [bucket: must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as PT5M, from one second to 366 days]",
        ),
        (
            format!("key=temperature&{range}&bucket=PT1S"),
            "400 invalid-request [bucket: at most 10000 buckets: choose a wider bucket or a shorter range]",
        ),
        (
            format!("key=temperature&{range}&limit=501"),
            "400 invalid-request [limit: must be 1 to 500]",
        ),
        (
            format!("key=temperature&{range}&cursor=x"),
            "400 invalid-request [cursor: must be the next_cursor of another page]",
        ),
        (
            format!("key=temperature&{range}&bucket=PT1H&cursor=x"),
            "400 invalid-request [cursor: must be the next_cursor of another page]",
        ),
    ] {
        let query = query.replace('ä', "%C3%A4");
        assert_eq!(
            fleet.get(&format!("{address}/history?{query}")).await.problem(),
            expected,
            "{query}"
        );
    }
    assert_eq!(
        fleet
            .get(&format!(
                "{address}/events?from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z"
            ))
            .await
            .problem(),
        "400 invalid-request [to: must be after `from`]"
    );
    for question in ["latest", "events", &format!("history?key=temperature&{range}")] {
        let answer = fleet.get(&format!("/admin/v1/devices/dev_{NOBODY}/{question}")).await;
        assert_eq!(answer.problem(), "404 not-found", "{question}");
        let unscoped = house.machine(&["fleet:control"]).await;
        let answer = unscoped.get(&format!("{address}/{question}")).await;
        assert_eq!(answer.problem(), "403 insufficient-scope", "{question}");
        let customers = address.replace("/admin", "");
        let answer = fleet.get(&format!("{customers}/{question}")).await;
        assert_eq!(answer.problem(), "403 insufficient-scope", "{question}");
    }
}

#[tokio::test]
async fn a_door_that_stays_shut_says_always_the_same() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let secret = ingest_secret(&staff, &product_id).await;
    let body = published(CLOUD_ID, "t/state", "{}", "2026-05-01T10:00:00Z");
    let mut said = Vec::new();
    for (path, secret) in [
        (INGEST, None),
        (INGEST, Some("ost_in_wrong")),
        (INGEST, Some("")),
        ("/ingest/particle/unknown", Some(secret.as_str())),
        ("/ingest/particle/%00", Some(secret.as_str())),
    ] {
        let answer = post(&house, path, secret, "application/json", body.clone()).await;
        assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer");
        let mut document = answer.json();
        document["request_id"] = Value::Null;
        said.push(document);
    }
    assert_eq!(said[0]["status"], 401);
    assert!(said.iter().all(|document| *document == said[0]), "{said:#?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_taken_and_shown_to_staff() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let device_id = imported_device(&staff, &product_id, CLOUD_ID).await;
    let secret = ingest_secret(&staff, &product_id).await;
    let token = "0123456789abcdef0123456789abcdef01234567";
    let form = "event=t%2Fstate&data=%7B%22t%22%3A19%7D&published_at=2026-05-01T10%3A00%3A00.123Z&coreid=".to_owned()
        + CLOUD_ID;
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", form),
        ("application/json", "{\"event\":".to_owned()),
        ("text/plain", format!("hello {token}")),
        (
            "application/json",
            published(OTHER_CLOUD_ID, "t/state", token, "2026-05-01T10:00:00Z"),
        ),
        (
            "application/json",
            published("001", "spark/status", "online", "2026-05-01T10:00:00Z"),
        ),
    ] {
        let answer = post(&house, INGEST, Some(&secret), content_type, body).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let fleet = house.machine(&["fleet:read"]).await;
    let latest = fleet.get(&format!("/admin/v1/devices/{device_id}/latest")).await.json();
    assert_eq!(latest["values"][0]["value"], 19);

    let path = format!("/admin/v1/rejected-events?product={product_id}");
    let rejected = staff.get(&path).await;
    assert!(!rejected.text.contains(token));
    let told: Vec<_> = rejected.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            format!(
                "{} {} {} {}",
                item["reason"], item["cloud_id"], item["name"], item["body"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        told,
        [
            "no-device null spark/status online".to_owned(),
            format!("unknown-device {OTHER_CLOUD_ID} t/state …"),
            "malformed null null hello …".to_owned(),
            "malformed null null {\\event\\:".to_owned(),
        ]
    );
    assert_eq!(staff.get("/admin/v1/rejected-events").await.json(), rejected.json());
    let elsewhere = staff
        .get(&format!("/admin/v1/rejected-events?product=prd_{NOBODY}"))
        .await;
    assert_eq!(elsewhere.json()["items"], json!([]));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let secret = ingest_secret(&staff, &product_id).await;
    let body = "x".repeat(64 << 20);
    let answer = post(&house, INGEST, Some(&secret), "application/json", body).await;
    assert_eq!(answer.problem(), "413 too-large");
}

#[tokio::test]
async fn s5_a_device_registers_over_http() {
    let house = house().await;
    let staff = house.staff().await;
    let product_id = created_product(&staff).await;
    let made = staff
        .post_nothing(&format!("/admin/v1/products/{product_id}/registration-key"))
        .await
        .json();
    let key = URL_SAFE_NO_PAD
        .decode(made["registration_key"].as_str().unwrap())
        .unwrap();
    let key = RegistrationKey::from_bytes(key.try_into().unwrap());
    let credential = key.credential_of(&CLOUD_ID.parse().unwrap());
    let register = async |path: &str, cloud_id: &str, credential: &str| {
        let body = json!({"cloud_id": cloud_id, "credential": credential}).to_string();
        post(&house, path, None, "application/json", body).await
    };
    let wrong = register(REGISTER, CLOUD_ID, "wrong").await;
    let first = register(REGISTER, CLOUD_ID, &credential).await;
    assert_eq!(first.status, 201);
    let again = register(REGISTER, &CLOUD_ID.to_uppercase(), &credential).await;
    assert_eq!((again.status.as_u16(), &again.text), (200, &first.text));
    let device_id = first.json()["device_id"].as_str().unwrap().to_owned();
    assert!(staff.get(&format!("/admin/v1/devices/{device_id}")).await.json()["registered_at"].is_string());

    let unknown = register("/ingest/registrations/unknown", CLOUD_ID, &credential).await;
    for answer in [&wrong, &unknown] {
        assert_eq!(answer.problem(), "401 unauthenticated");
        assert_eq!(answer.json()["detail"], wrong.json()["detail"]);
    }
    let malformed = register(REGISTER, "e00f", &credential).await;
    assert_eq!(
        malformed.problem(),
        "400 invalid-request [/cloud_id: must be 24 hexadecimal digits]"
    );
    let mut second = thermostat();
    second["slug"] = json!("second");
    crate::admin::product_from(&staff, second).await;
    let elsewhere = register("/ingest/registrations/second", CLOUD_ID, &credential).await;
    assert_eq!(
        elsewhere.problem(),
        "401 unauthenticated",
        "the credential is of another product"
    );
}
