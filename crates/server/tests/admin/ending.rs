//! P1 at the staff API: once the end of a grant has been answered, no call by it leaves any more.

use std::time::Duration;

use ostler_sim::{Fault, FaultKind, Sim};
use serde_json::{Value, json};

use super::cloud::{connected, sim};
use crate::house::{House, house};

/// A device of the simulated cloud, a customer, and the grant between them.
struct Granted {
    device_id: String,
    customer_id: String,
    grant_id: String,
}

async fn granted(house: &House, sim: &Sim) -> Granted {
    let staff = house.staff().await;
    let product_id = connected(&staff, sim).await;
    let imported = staff.post_nothing(&format!("/admin/v1/products/{product_id}/devices/import")).await.json();
    let device_id = imported["created"][0]["id"].as_str().unwrap().to_owned();
    let customer_id = house.customer("ada@example.com").await.to_string();
    let body = json!({"customer_id": customer_id, "device_id": device_id, "functions": ["setTarget"]});
    let grant = staff.post("/admin/v1/grants", body).await.json();
    Granted { device_id, customer_id, grant_id: grant["id"].as_str().unwrap().to_owned() }
}

impl Granted {
    fn call(&self) -> (String, Value) {
        let path = format!("/admin/v1/devices/{}/functions/setTarget", self.device_id);
        (path, json!({"argument": "21", "customer_id": self.customer_id, "reason": "a test"}))
    }
}

async fn the_call_has_left(sim: &Sim) {
    let has_left = || sim.handle().requests(0).iter().any(|request| request.path.ends_with("/setTarget"));
    while !has_left() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn p1_an_ended_grant_calls_nothing_and_what_had_left_is_listed() {
    let (house, sim) = (house().await, sim().await);
    let granted = granted(&house, &sim).await;
    let (staff, fleet) = (house.staff().await, house.machine(&["fleet:control"]).await);
    sim.handle().add_fault(Fault { ms: Some(1_500), ..Fault::new(FaultKind::Latency) });

    let (path, body) = granted.call();
    let end = async {
        the_call_has_left(&sim).await;
        staff.post_nothing(&format!("/admin/v1/grants/{}/end", granted.grant_id)).await.json()
    };
    let (answer, ended) = tokio::join!(fleet.post(&path, body.clone()), end);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(ended["in_flight"], json!([answer.json()["command_id"]]));

    let refused = fleet.post(&path, body).await;
    assert_eq!(refused.problem(), "404 not-found");
    let acts = sim.handle().acts(0);
    assert_eq!(acts.iter().filter(|act| act.function == "setTarget").count(), 1);
    sim.shutdown().await;
}

#[tokio::test]
async fn p1_calls_that_race_the_end_are_listed_or_never_left() {
    let (house, sim) = (house().await, sim().await);
    let granted = granted(&house, &sim).await;
    let (staff, fleet) = (house.staff().await, house.machine(&["fleet:control"]).await);
    let (path, body) = granted.call();
    let calls = futures_util::future::join_all((0..20).map(|_| fleet.post(&path, body.clone())));
    let end = async {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let ended = staff.post_nothing(&format!("/admin/v1/grants/{}/end", granted.grant_id)).await;
        // What the cloud had been asked when the end was answered.
        (ended.json(), sim.handle().requests(0).len())
    };
    let (answers, (_, asked)) = tokio::join!(calls, end);
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 404 | 429)));
    assert_eq!(sim.handle().requests(0).len(), asked, "a call left after the end was answered");
    sim.shutdown().await;
}
