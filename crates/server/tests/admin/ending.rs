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
    let imported = staff
        .post_nothing(&format!("/admin/v1/products/{product_id}/devices/import"))
        .await
        .json();
    let device_id = imported["created"][0]["id"].as_str().unwrap().to_owned();
    let customer_id = house.customer("ada@example.com").await.to_string();
    let body = json!({"customer_id": customer_id, "device_id": device_id, "functions": null});
    let grant = staff.post("/admin/v1/grants", body).await.json();
    Granted {
        device_id,
        customer_id,
        grant_id: grant["id"].as_str().unwrap().to_owned(),
    }
}

impl Granted {
    fn call(&self, function: &str, argument: &str) -> (String, Value) {
        let path = format!("/admin/v1/devices/{}/functions/{function}", self.device_id);
        (
            path,
            json!({"argument": argument, "customer_id": self.customer_id, "reason": "a test"}),
        )
    }
}

/// How often the cloud was asked to call the function.
fn arrivals(sim: &Sim, function: &str) -> usize {
    sim.handle()
        .requests(0)
        .iter()
        .filter(|request| request.path.ends_with(function))
        .count()
}

async fn a_call_has_arrived(sim: &Sim, function: &str) {
    while arrivals(sim, function) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn p1_an_ended_grant_calls_nothing_and_what_had_left_is_listed() {
    let (house, sim) = (house().await, sim().await);
    let granted = granted(&house, &sim).await;
    let (staff, fleet) = (house.staff().await, house.machine(&["fleet:control"]).await);
    sim.handle().add_fault(Fault {
        ms: Some(1_500),
        ..Fault::new(FaultKind::Latency)
    });

    let (path, body) = granted.call("setTarget", "21");
    let end = async {
        a_call_has_arrived(&sim, "/setTarget").await;
        staff
            .post_nothing(&format!("/admin/v1/grants/{}/end", granted.grant_id))
            .await
            .json()
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
    let (path, body) = granted.call("setMode", "heat");
    let calls = futures_util::future::join_all((0..40).map(|_| fleet.post(&path, body.clone())));
    let end = async {
        a_call_has_arrived(&sim, "/setMode").await;
        let ended = staff
            .post_nothing(&format!("/admin/v1/grants/{}/end", granted.grant_id))
            .await
            .json();
        (ended["in_flight"].as_array().unwrap().len(), arrivals(&sim, "/setMode"))
    };
    let (answers, (in_flight, arrived)) = tokio::join!(calls, end);
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 404)));
    let late = arrivals(&sim, "/setMode") - arrived;
    assert!(
        late <= in_flight,
        "{late} calls arrived after the end was answered; {in_flight} were told"
    );
    sim.shutdown().await;
}
