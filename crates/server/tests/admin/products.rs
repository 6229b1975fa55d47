//! Products as files over HTTP: applying, the dry run, versions, reverting.

use serde_json::{Value, json};

use super::{NOBODY, created_product, thermostat};
use crate::house::house;

fn with(mut file: Value, pointer: &str, value: Value) -> Value {
    *file.pointer_mut(pointer).unwrap() = value;
    file
}

#[tokio::test]
async fn a_product_is_created_from_its_file_and_read_back() {
    let house = house().await;
    let staff = house.staff().await;
    let answer = staff.post("/admin/v1/products", thermostat()).await;
    assert_eq!(answer.status, 201);
    let created = answer.json();
    assert_eq!(
        (&created["outcome"], &created["version"]),
        (&json!("created"), &json!(1))
    );
    let address = answer.headers["location"].to_str().unwrap().to_owned();
    let read = staff.get(&address).await.json();
    for member in ["slug", "name", "time_zone", "access_mode", "variables", "telemetry"] {
        assert_eq!(read[member], thermostat()[member], "{member}");
    }
    assert_eq!(read["functions"][0], thermostat()["functions"][0]);

    // What was read can be sent back as it is, and says nothing new.
    let answer = staff.put(&address, read).await.json();
    assert_eq!(
        (&answer["outcome"], &answer["version"]),
        (&json!("unchanged"), &json!(1))
    );
    let listed = staff.get("/admin/v1/products").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let again = staff.post("/admin/v1/products", thermostat()).await;
    assert_eq!(again.problem(), "409 conflict");
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let house = house().await;
    let staff = house.staff().await;
    let answer = staff.post("/admin/v1/products?dry_run=true", thermostat()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["outcome"], "would-create");
    assert_eq!(staff.get("/admin/v1/products").await.json()["items"], json!([]));

    let id = created_product(&staff).await;
    let changed = with(thermostat(), "/functions/0/argument/max", json!(32));
    let dry = staff
        .put(&format!("/admin/v1/products/{id}?dry_run=true"), changed.clone())
        .await
        .json();
    let expected =
        json!([{"path": "/functions/setTarget/argument/max", "change": "changed", "before": 30, "after": 32}]);
    assert_eq!((&dry["changes"], &dry["outcome"]), (&expected, &json!("would-apply")));
    assert_eq!(
        staff.get(&format!("/admin/v1/products/{id}")).await.json()["version"],
        1
    );

    let applied = staff.put(&format!("/admin/v1/products/{id}"), changed).await.json();
    assert_eq!((&applied["changes"], &applied["version"]), (&expected, &json!(2)));
}

#[tokio::test]
async fn a_former_version_counts_again_as_a_new_one() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let address = format!("/admin/v1/products/{id}");
    staff.put(&address, with(thermostat(), "/name", json!("Another"))).await;
    let reverted = staff
        .post(&format!("{address}/revert"), json!({"version": 1}))
        .await
        .json();
    assert_eq!(
        (&reverted["outcome"], &reverted["version"]),
        (&json!("applied"), &json!(3))
    );
    assert_eq!(staff.get(&address).await.json()["name"], "Thermostat");
    let versions = staff.get(&format!("{address}/versions")).await.json();
    let numbers: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["version"].clone())
        .collect();
    assert_eq!(json!(numbers), json!([3, 2, 1]));
    let refused = staff.post(&format!("{address}/revert"), json!({"version": 9})).await;
    assert_eq!(
        refused.problem(),
        "400 invalid-request [/version: must be a version of this product]"
    );
}

#[tokio::test]
async fn the_export_is_the_file_that_can_be_applied() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let answer = staff.get(&format!("/admin/v1/products/{id}/export")).await;
    assert_eq!(answer.headers["content-type"], "application/toml");
    let file: Value = toml::from_str(&answer.text).unwrap();
    let again = staff.put(&format!("/admin/v1/products/{id}"), file).await.json();
    assert_eq!(again["outcome"], "unchanged");
}

#[tokio::test]
async fn every_fault_of_a_file_is_named_and_nothing_is_changed() {
    let house = house().await;
    let staff = house.staff().await;
    let mut file = thermostat();
    for (pointer, value) in [
        ("/slug", json!("Thermo stat")),
        ("/time_zone", json!("Mars/Olympus")),
        ("/functions/0/argument/min", json!(31)),
        ("/functions/1/name", json!("ping")),
        ("/telemetry/0/keys/0/pointer", json!("t")),
    ] {
        file = with(file, pointer, value);
    }
    let answer = staff.post("/admin/v1/products", file).await;
    assert_eq!(answer.status, 400);
    let problem = answer.json();
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].clone())
        .collect();
    let expected = [
        "/slug",
        "/time_zone",
        "/functions/0/argument",
        "/functions/1/name",
        "/telemetry/0/keys/0/pointer",
    ];
    assert_eq!(json!(pointers), json!(expected));
    assert_eq!(staff.get("/admin/v1/products").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_body_that_is_no_product_file_names_the_place() {
    let house = house().await;
    let staff = house.staff().await;
    for (pointer, value, expected) in [
        (
            "/functions/0/max_bytes",
            json!("many"),
            "/functions/0/max_bytes: must be an integer of at least 0",
        ),
        ("/variables", json!({}), "/variables: must be an array"),
        (
            "/functions/1/argument",
            json!(null),
            "/functions/1/argument: must be an object",
        ),
    ] {
        let answer = staff
            .post("/admin/v1/products", with(thermostat(), pointer, value))
            .await;
        assert_eq!(answer.problem(), format!("400 invalid-request [{expected}]"));
    }
    let mut misspelt = thermostat();
    misspelt["fuctions"] = json!([]);
    let answer = staff.post("/admin/v1/products", misspelt).await;
    assert_eq!(
        answer.problem(),
        "400 invalid-request [/fuctions: is not a member here]"
    );
}

#[tokio::test]
async fn a_product_keeps_its_slug() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let answer = staff
        .put(
            &format!("/admin/v1/products/{id}"),
            with(thermostat(), "/slug", json!("other")),
        )
        .await;
    assert_eq!(
        answer.problem(),
        "400 invalid-request [/slug: must stay thermostat: a product keeps its slug]"
    );
    assert_eq!(
        staff.get("/admin/v1/products").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn lists_are_paged_by_an_opaque_cursor() {
    let house = house().await;
    let staff = house.staff().await;
    for number in 0..3 {
        super::product_from(
            &staff,
            with(thermostat(), "/slug", json!(format!("thermostat-{number}"))),
        )
        .await;
    }
    let mut slugs = Vec::new();
    let mut path = "/admin/v1/products?limit=2".to_owned();
    loop {
        let page = staff.get(&path).await.json();
        slugs.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|product| product["slug"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/admin/v1/products?limit=2&cursor={cursor}");
    }
    assert_eq!(json!(slugs), json!(["thermostat-0", "thermostat-1", "thermostat-2"]));
    for (query, expected) in [
        ("limit=0", "limit: must be 1 to 500"),
        ("limit=x", "limit: must be a whole number, not negative, of 32 bits"),
        ("cursor=x", "cursor: must be the next_cursor of another page"),
        ("page=2", "page: is not a parameter here; there are: limit, cursor"),
    ] {
        let answer = staff.get(&format!("/admin/v1/products?{query}")).await;
        assert_eq!(answer.problem(), format!("400 invalid-request [{expected}]"));
    }
}

#[tokio::test]
async fn an_id_that_does_not_parse_answers_as_one_that_nobody_has() {
    let house = house().await;
    let staff = house.staff().await;
    let nobody = format!("prd_{NOBODY}");
    for id in ["x", "dev_00000000000000000000000000", &nobody] {
        for path in ["", "/versions", "/export", "/cloud"] {
            let answer = staff.get(&format!("/admin/v1/products/{id}{path}")).await;
            assert_eq!(answer.problem(), "404 not-found", "{id}{path}");
        }
        let answer = staff.put(&format!("/admin/v1/products/{id}"), thermostat()).await;
        assert_eq!(answer.problem(), "404 not-found");
    }
}
