//! Products and what belongs to them: the paged list, import, quarantine, clients, limits, and the
//! wire rules that hold everywhere (reference §1, §2.4, §5.2).

use ostler_sim::{Custom, NewDevice, SimConfig};
use serde_json::{Value, json};

use crate::support::{Cloud, quiet, reply};

const LIST: &str = "/v1/products/thermostat/devices";

fn names(list: &Value) -> Vec<&str> {
    list["devices"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|device| device["name"].as_str())
        .collect()
}

#[tokio::test]
async fn the_list_has_pages_filters_and_an_order() {
    let cloud = Cloud::with(SimConfig {
        thermostats: 30,
        unregistered: 0,
        ..quiet()
    })
    .await;
    let token = cloud.product_token("thermostat");
    let first = cloud.get(&token, LIST).await.json();
    assert_eq!((names(&first).len(), &first["meta"]["total_pages"]), (25, &json!(2)));
    let second = cloud.get(&token, &format!("{LIST}?page=2")).await.json();
    assert_eq!(names(&second).len(), 5);
    for spelling in ["per_page", "perPage"] {
        let page = cloud.get(&token, &format!("{LIST}?{spelling}=10&page=3")).await.json();
        assert_eq!(
            (names(&page).len(), &page["meta"]["total_pages"]),
            (10, &json!(3)),
            "{spelling}"
        );
    }
    let filtered = cloud
        .get(&token, &format!("{LIST}?deviceName=THERMOSTAT-07"))
        .await
        .json();
    assert_eq!(names(&filtered), ["thermostat-07"]);
    let sorted = cloud
        .get(&token, &format!("{LIST}?sortAttr=deviceId&sortDir=asc&perPage=100"))
        .await
        .json();
    let ids: Vec<_> = sorted["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted() && ids.len() == 30);
}

#[tokio::test]
async fn a_quarantined_device_is_approved_by_import_or_denied_by_removal() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let add = || {
        cloud.handle.add_device(NewDevice {
            id: None,
            name: None,
            product_id: Some(cloud.product("thermostat").id),
            firmware: Custom::default(),
            quarantined: true,
        })
    };
    let (welcome, unwelcome) = (add(), add());
    let quarantined = cloud.get(&token, &format!("{LIST}?quarantined=true")).await.json();
    assert_eq!(quarantined["devices"].as_array().unwrap().len(), 2);
    let imported = cloud.post(&token, LIST, json!({"id": welcome})).await.json();
    assert_eq!(
        (&imported["updated"], &imported["updatedDeviceIds"]),
        (&json!(1), &json!([welcome]))
    );
    let denied = cloud
        .http
        .delete(cloud.url(&format!("{LIST}/{unwelcome}")))
        .bearer_auth(&token);
    assert_eq!(reply(denied.json(&json!({"deny": true}))).await.status, 204);
    let quarantined = cloud.get(&token, &format!("{LIST}?quarantined=true")).await.json();
    assert_eq!(quarantined["devices"], json!([]));
    assert_eq!(
        cloud.get(&token, &format!("{LIST}/{unwelcome}")).await.json()["denied"],
        true
    );
}

#[tokio::test]
async fn a_file_of_ids_is_imported() {
    let cloud = Cloud::start().await;
    let (token, device, vehicle) = (
        cloud.product_token("thermostat"),
        cloud.device("thermostat"),
        cloud.device("vehicle"),
    );
    assert_eq!(cloud.delete(&token, &format!("{LIST}/{device}")).await.status, 204);
    assert_eq!(cloud.get(&token, &format!("{LIST}/{device}")).await.status, 404);
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ids.txt\"\r\n\r\n{device}\n{vehicle}\nnonsense\n\r\n--b--\r\n"
    );
    let request = cloud.http.post(cloud.url(LIST)).bearer_auth(&token);
    let request = request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    let imported = reply(request).await.json();
    assert_eq!(imported["updatedDeviceIds"], json!([device]));
    assert_eq!(imported["nonmemberDeviceIds"], json!([vehicle]));
    assert_eq!(imported["invalidDeviceIds"], json!(["nonsense"]));
}

#[tokio::test]
async fn groups_are_changed_for_many_devices_at_once() {
    let cloud = Cloud::start().await;
    let (token, device) = (cloud.product_token("thermostat"), cloud.device("thermostat"));
    let regroup = |add: &[&str], remove: &[&str]| json!({"action": "groups", "devices": [device], "metadata": {"add": add, "remove": remove}});
    assert_eq!(
        cloud.put(&token, LIST, regroup(&["north", "old"], &[])).await.json(),
        json!({"ok": true})
    );
    cloud.put(&token, LIST, regroup(&["north"], &["old"])).await;
    assert_eq!(
        cloud.get(&token, &format!("{LIST}/{device}")).await.json()["groups"],
        json!(["north"])
    );
    assert_eq!(
        names(&cloud.get(&token, &format!("{LIST}?groups=north,east")).await.json()),
        ["thermostat-01"]
    );
}

#[tokio::test]
async fn a_client_of_the_account_cannot_act_for_a_product() {
    let cloud = Cloud::start().await;
    let maker = cloud.handle.user_token(&cloud.handle.maker());
    let made = cloud
        .post(&maker, "/v1/clients", json!({"name": "Back End", "type": "installed"}))
        .await
        .json();
    let (id, secret) = (
        made["client"]["id"].as_str().unwrap(),
        made["client"]["secret"].as_str().unwrap(),
    );
    let customers = cloud
        .http
        .post(cloud.url("/v1/products/thermostat/customers"))
        .basic_auth(id, Some(secret));
    let refused = reply(customers.json(&json!({"email": "a@example.com", "no_password": true}))).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    let listed = cloud.get(&maker, "/v1/clients").await.json();
    assert_eq!(listed["clients"][0]["id"], json!(id));
    assert!(listed["clients"][0].get("secret").is_none());
    assert_eq!(cloud.delete(&maker, &format!("/v1/clients/{id}")).await.status, 204);
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
    ];
    assert_eq!(cloud.token(&fields).await.status, 400);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_accepted() {
    let cloud = Cloud::start().await;
    let (facts, maker) = (cloud.handle.facts(), cloud.handle.maker());
    assert!(cloud.handle.set_otp(&maker, "123456"));
    let client = [("client_id", "particle"), ("client_secret", "particle")];
    let login = [
        ("grant_type", "password"),
        ("username", &facts.username),
        ("password", &facts.password),
        client[0],
        client[1],
    ];
    let asked = cloud.token(&login).await;
    assert_eq!(
        (asked.status, asked.json()["error"].clone()),
        (403, json!("mfa_required"))
    );
    let mfa_token = asked.json()["mfa_token"].as_str().unwrap().to_owned();
    let answer = |otp: &'static str| {
        let fields = [
            ("grant_type", "urn:custom:mfa-otp"),
            ("mfa_token", &mfa_token),
            ("otp", otp),
            client[0],
            client[1],
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let request = cloud.http.post(cloud.url("/oauth/token")).form(&fields);
        async move { reply(request).await.status }
    };
    assert_eq!(answer("000000").await, 400);
    assert_eq!(answer("123456").await, 200);
    assert_eq!(answer("123456").await, 400);
}

#[tokio::test]
async fn every_answer_is_json_with_cors_and_the_simulated_date() {
    let cloud = Cloud::start().await;
    for path in ["/", "/v1/nowhere", "/v1/devices/", "/oauth/token"] {
        let response = cloud.http.get(cloud.url(path)).send().await.unwrap();
        assert!(response.status().is_client_error(), "{path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
        assert_eq!(response.headers()["date"], "Sun, 17 Mar 2030 17:46:40 GMT", "{path}");
        let body: Value = response.json().await.unwrap();
        assert!(body.is_object(), "{path}");
    }
    let broken = cloud
        .http
        .post(cloud.url("/v1/devices"))
        .header("content-type", "application/json")
        .body("{");
    assert_eq!(reply(broken).await.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_token_sent_in_two_ways_is_refused_and_in_one_deprecated_way_accepted() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("thermostat");
    let in_query = format!("{LIST}/?access_token={token}");
    let twice = cloud.get(&token, &in_query).await;
    assert_eq!(
        (twice.status, twice.json()["error"].clone()),
        (400, json!("invalid_request"))
    );
    let once = reply(cloud.http.get(cloud.url(&in_query))).await;
    assert_eq!(once.status, 200);
    let in_form = cloud.http.post(cloud.url("/v1/products/thermostat/events"));
    assert_eq!(
        reply(in_form.form(&[("access_token", token.as_str()), ("name", "a")]))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn too_many_requests_are_refused_until_five_minutes_have_passed() {
    let mut config = quiet();
    config.limits.requests = 3;
    let cloud = Cloud::with(config).await;
    let token = cloud.product_token("thermostat");
    for status in [200, 200, 200, 429] {
        assert_eq!(cloud.get(&token, LIST).await.status, status);
    }
    cloud.handle.advance_ms(300_000);
    assert_eq!(cloud.get(&token, LIST).await.status, 200);
}

#[tokio::test]
async fn last_known_locations_are_listed_and_found_in_a_rectangle() {
    let cloud = Cloud::start().await;
    let token = cloud.product_token("vehicle");
    let all = cloud.get(&token, "/v1/products/vehicle/locations").await.json();
    assert_eq!(all["meta"]["devices_found"], 3);
    let place = &all["locations"][0];
    let (longitude, latitude) = (
        place["geometry"]["coordinates"][0].as_f64().unwrap(),
        place["geometry"]["coordinates"][1].as_f64().unwrap(),
    );
    assert!(
        (47.0..48.0).contains(&latitude) && (8.0..9.0).contains(&longitude),
        "GeoJSON is lon,lat"
    );
    let near = |by: f64| format!("{},{}", latitude + by, longitude + by);
    let rectangle = format!(
        "/v1/products/vehicle/locations?rect_bl={}&rect_tr={}",
        near(-0.0001),
        near(0.0001)
    );
    let found = cloud.get(&token, &rectangle).await.json();
    assert_eq!(found["locations"][0]["device_id"], place["device_id"]);
    let id = place["device_id"].as_str().unwrap();
    let one = cloud
        .get(&token, &format!("/v1/products/vehicle/locations/{id}"))
        .await
        .json();
    assert_eq!(one["location"]["geometry"]["type"], "Point");
}

#[tokio::test]
async fn the_facts_name_the_same_client_and_the_same_order_whatever_is_made_later() {
    let cloud = Cloud::start().await;
    let product = cloud.product("thermostat");
    cloud.handle.add_client(product.id, "aaa");
    cloud.handle.add_device(NewDevice {
        id: Some(ostler_sim::DeviceId::new(&"0".repeat(24))),
        name: Some("aaa".to_owned()),
        product_id: Some(product.id),
        firmware: Custom::default(),
        quarantined: false,
    });
    let facts = cloud.handle.facts();
    assert_eq!(cloud.product("thermostat").client_id, product.client_id);
    let names: Vec<_> = facts
        .devices
        .iter()
        .filter_map(|device| device.name.as_deref())
        .collect();
    assert_eq!(names[..3], ["thermostat-01", "thermostat-02", "thermostat-03"]);
    assert_eq!(names.last(), Some(&"aaa"));
}
