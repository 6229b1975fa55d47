//! Cloud connections, secrets and hooks, with the simulated cloud at the other end.

use ostler_sim::{Sim, SimConfig};
use serde_json::{Value, json};

use super::{created_product, thermostat};
use crate::house::{Visitor, house};

pub async fn sim() -> Sim {
    Sim::start(SimConfig {
        thermostats: 3,
        vehicles: 0,
        unregistered: 0,
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// How the simulated cloud's first product is reached.
fn connection(sim: &Sim) -> Value {
    let facts = sim.handle().facts();
    let product = &facts.products[0];
    json!({"kind": "particle", "base_url": sim.base_url(), "product": product.id.to_string(),
           "client_id": product.client_id, "client_secret": product.client_secret})
}

pub async fn connected(staff: &Visitor<'_>, sim: &Sim) -> String {
    let id = created_product(staff).await;
    let answer = staff
        .put(&format!("/admin/v1/products/{id}/cloud"), connection(sim))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    id
}

#[tokio::test]
async fn a_connection_is_shown_without_its_secret() {
    let (house, sim) = (house().await, sim().await);
    let staff = house.staff().await;
    let id = connected(&staff, &sim).await;
    let address = format!("/admin/v1/products/{id}/cloud");
    let asked = connection(&sim);
    let shown = staff.get(&address).await;
    assert_eq!(shown.json()["client_id"], asked["client_id"]);
    assert!(
        !shown.text.contains(asked["client_secret"].as_str().unwrap()),
        "{}",
        shown.text
    );
    assert_eq!(staff.delete(&address).await.status, 204);
    assert_eq!(staff.get(&address).await.problem(), "404 not-found");
    sim.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_is_refused_by_its_place() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let good = json!({"kind": "particle", "base_url": "https://api.example.com", "product": "1", "access_token": "t"});
    for (member, value, pointer) in [
        ("base_url", json!("http://api.example.com"), "/base_url"),
        ("product", json!("../1"), "/product"),
        ("access_token", json!(""), "/access_token"),
        ("client_id", json!("both"), ""),
        ("kind", json!("mqtt"), "/kind"),
        ("secret", json!("x"), "/secret"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let answer = staff.put(&format!("/admin/v1/products/{id}/cloud"), body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]),
            (400, &json!(pointer)),
            "{member}"
        );
    }
}

#[tokio::test]
async fn devices_are_imported_from_the_clouds_list() {
    let (house, sim) = (house().await, sim().await);
    let staff = house.staff().await;
    let id = connected(&staff, &sim).await;
    let address = format!("/admin/v1/products/{id}/devices/import");
    let dry = staff.post_nothing(&format!("{address}?dry_run=true")).await.json();
    let count = dry["created"].as_array().unwrap().len();
    assert!(count >= 3, "{dry}");
    assert_eq!(staff.get("/admin/v1/devices").await.json()["items"], json!([]));
    let imported = staff.post_nothing(&address).await.json();
    assert_eq!(imported["created"].as_array().unwrap().len(), count);
    let again = staff.post_nothing(&address).await.json();
    assert_eq!(
        (&again["created"], again["existing"].as_array().unwrap().len()),
        (&json!([]), count)
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn hooks_are_made_once_and_recognised() {
    let (house, sim) = (house().await, sim().await);
    let staff = house.staff().await;
    let id = connected(&staff, &sim).await;
    let address = format!("/admin/v1/products/{id}/webhook");
    let steps = |answer: &Value| -> Vec<(String, String)> {
        let hooks = answer["hooks"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        hooks.map(|hook| (text(&hook["event"]), text(&hook["step"]))).collect()
    };
    let expected = |step: &str| [("ostler/", step), ("t/state", step)].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let dry = staff.post_nothing(&format!("{address}?dry_run=true")).await.json();
    assert_eq!(steps(&dry), expected("created"));
    let made = staff.post_nothing(&address).await.json();
    assert_eq!(steps(&made), expected("created"));
    let again = staff.post_nothing(&address).await.json();
    assert_eq!(steps(&again), expected("unchanged"));

    // Another name of events asks for another hook; a change of the secret for none.
    let mut file = thermostat();
    file["telemetry"][0]["event"] = json!("t/*");
    staff.put(&format!("/admin/v1/products/{id}"), file).await;
    let widened = staff.post_nothing(&address).await.json();
    assert!(
        steps(&widened).contains(&("t/".to_owned(), "created".to_owned())),
        "{widened}"
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn a_cloud_that_is_not_there_is_told_apart_from_one_that_refuses() {
    let (house, sim) = (house().await, sim().await);
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let import = format!("/admin/v1/products/{id}/devices/import");
    assert_eq!(staff.post_nothing(&import).await.problem(), "409 conflict");
    let mut wrong = connection(&sim);
    wrong["client_secret"] = json!("wrong");
    staff.put(&format!("/admin/v1/products/{id}/cloud"), wrong).await;
    assert_eq!(staff.post_nothing(&import).await.problem(), "502 cloud-refused");
    let mut gone = connection(&sim);
    gone["base_url"] = json!("http://127.0.0.1:1");
    staff.put(&format!("/admin/v1/products/{id}/cloud"), gone).await;
    assert_eq!(staff.post_nothing(&import).await.problem(), "503 cloud-unavailable");
    sim.shutdown().await;
}

#[tokio::test]
async fn secrets_are_told_once_and_two_are_good() {
    let house = house().await;
    let staff = house.staff().await;
    let id = created_product(&staff).await;
    let address = format!("/admin/v1/products/{id}/ingest-secret");
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let answer = staff.post_nothing(&address).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["cache-control"]),
            (201, &"no-store".parse().unwrap())
        );
        secrets.push(answer.json()["ingest_secret"].as_str().unwrap().to_owned());
        assert!(
            answer.json()["ingest_url"]
                .as_str()
                .unwrap()
                .ends_with("/ingest/particle/thermostat")
        );
    }
    assert_ne!(secrets[0], secrets[1]);
    assert_eq!(staff.delete(&address).await.status, 204);
    let first = staff
        .post_nothing(&format!("/admin/v1/products/{id}/registration-key"))
        .await
        .json();
    let second = staff
        .post_nothing(&format!("/admin/v1/products/{id}/registration-key"))
        .await
        .json();
    assert_eq!(first["registration_key"].as_str().unwrap().len(), 43);
    assert_ne!(first, second);
}
