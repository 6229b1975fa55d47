//! P11: a sick device cloud does not make Ostler sick: sign-in, lists and history answer as promptly
//! as ever, the ingest door takes what comes, calls fail fast, and nothing waits without a deadline.

use std::time::Duration;

use ostler_core::port::Clock as _;
use ostler_core::time::Timestamp;
use ostler_server::edge::SystemClock;
use ostler_sim::{DeviceId as CloudDeviceId, Fault, FaultKind};
use ostler_testkit::eventually_async;
use serde_json::json;

use super::{SOON, await_calls_at_cloud, calls_at_cloud};
use crate::world::{Answer, Caller, Customer, Fleet, Installation, On, on_both};

/// Well below every deadline that a wait for the cloud has (the shortest, for connecting, is 5 s). It
/// is no figure of speed: those are measured elsewhere.
const PROMPT: Duration = Duration::from_secs(3);
/// Other work on this machine may delay an answer now and then; a wait for the cloud would delay each.
const ATTEMPTS: usize = 5;

/// The first answer that comes promptly.
async fn assert_prompt(what: &str, mut ask: impl AsyncFnMut() -> Answer) -> Answer {
    let mut took = Vec::new();
    for _ in 0..ATTEMPTS {
        let began = SystemClock.instant();
        let answer = ask().await;
        took.push(SystemClock.instant() - began);
        if took.last().is_some_and(|took| *took < PROMPT) {
            return answer;
        }
    }
    panic!("{what} took {took:?}");
}

struct Scene {
    fleet: Fleet,
    device: String,
    cloud_id: CloudDeviceId,
    customer: Customer,
    client_id: String,
    ada: Caller,
}

async fn scene(installation: &Installation) -> Scene {
    let fleet = installation.thermostats().await;
    let (device, cloud_id) = fleet.devices[0].clone();
    let customer = installation.customer("ada").await;
    installation.grant(&customer, &device, json!({})).await;
    let client_id = installation.app_client().await;
    let ada = installation.signed_in(&client_id, &customer).await;
    // The connection is warm and its token is minted.
    ada.call(&device, "setTarget", "20").await.expect(200);
    Scene {
        fleet,
        device,
        cloud_id,
        customer,
        client_id,
        ada,
    }
}

/// What does not need the cloud works as if nothing were the matter.
async fn assert_well(installation: &Installation, scene: &Scene) {
    let Scene {
        fleet,
        device,
        cloud_id,
        customer,
        client_id,
        ada,
    } = scene;
    let published_at = Timestamp::from_millis(SystemClock.now().millis() - 60_000);
    let event = json!({"event": "thermostat/state", "coreid": cloud_id.to_string(), "published_at": published_at.to_string(),
        "data": json!({"t": 17.25, "time": published_at.millis() / 1000}).to_string()});
    assert_prompt("the ingest door", async || installation.post_event(fleet, &event).await)
        .await
        .expect(204);
    let history = format!(
        "/v1/devices/{device}/history?key=temperature&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z&limit=500"
    );
    let history = assert_prompt("history", async || ada.get(&history).await)
        .await
        .expect(200);
    let points = history.at("/points");
    assert!(
        points.as_array().unwrap().iter().any(|point| point["value"] == 17.25),
        "{history:?}"
    );
    assert_prompt("latest values", async || {
        ada.get(&format!("/v1/devices/{device}/latest")).await
    })
    .await
    .expect(200);
    assert_prompt("the list of devices", async || ada.get("/v1/devices").await)
        .await
        .expect(200);
    let sign_in = async || {
        installation
            .signed_in(client_id, customer)
            .await
            .get("/v1/devices")
            .await
    };
    assert_prompt("signing in", sign_in).await.expect(200);
    let anonymous = installation.anonymous();
    assert_prompt("readiness", async || anonymous.get("/readyz").await)
        .await
        .expect(200);
}

on_both! {
    async fn p11_a_cloud_that_is_gone_costs_calls_and_nothing_else(installation) {
        let scene = scene(&installation).await;
        installation.stop_cloud().await;
        assert_well(&installation, &scene).await;
        let call = async || scene.ada.call(&scene.device, "setTarget", "21").await;
        assert_prompt("a call", call).await.expect_problem(503, "cloud-unavailable");
        assert_well(&installation, &scene).await;
        assert_eq!(calls_at_cloud(&installation, &scene.cloud_id).len(), 1);
        // It stops as politely as ever, and comes back without its cloud.
        installation.restart();
        assert_well(&installation, &scene).await;
    }
}

on_both! {
    async fn p11_a_cloud_that_fails_again_and_again_is_left_alone(installation) {
        let scene = scene(&installation).await;
        let fault = installation.sim().add_fault(Fault::new(FaultKind::Status).with_status(503));
        let call = async || scene.ada.call(&scene.device, "setTarget", "21").await;
        // The first failures are uncertain; then the circuit opens, and nothing leaves.
        eventually_async("an open circuit", SOON, || async { (call().await.status == 503).then_some(()) }).await;
        let before = calls_at_cloud(&installation, &scene.cloud_id).len();
        assert!(before <= 10, "{before} calls before the circuit opened");
        let refused = assert_prompt("a call", call).await;
        assert!([503, 504].contains(&refused.status.as_u16()), "{refused:?}");
        // While it is open, at most a probe now and then.
        assert!(calls_at_cloud(&installation, &scene.cloud_id).len() <= before + 2);
        assert_well(&installation, &scene).await;

        installation.sim().clear_fault(fault);
        eventually_async("the cloud's recovery to be noticed", Duration::from_secs(60), || async {
            (call().await.status == 200).then_some(())
        }).await;
    }
}

on_both! {
    async fn p11_a_cloud_that_does_not_answer_keeps_nobody_else_waiting(installation) {
        installation.restart_with(&[("OSTLER_CALLS_DEADLINE_SECONDS", "4"), ("OSTLER_CALLS_ATTACH_SECONDS", "6")]);
        let scene = scene(&installation).await;
        installation.sim().add_fault(Fault::new(FaultKind::Latency).for_ms(60_000));
        let began = SystemClock.instant();
        let waiting: Vec<_> = (0..20).map(|_| {
            let (ada, device) = (scene.ada.clone(), scene.device.clone());
            tokio::spawn(async move { ada.call(&device, "setTarget", "21").await })
        }).collect();
        await_calls_at_cloud(&installation, &scene.cloud_id, 21).await;
        assert_well(&installation, &scene).await;
        for waiting in waiting {
            waiting.await.unwrap().expect_problem(504, "outcome-unknown");
        }
        assert!(SystemClock.instant() - began < Duration::from_secs(30), "nothing waits without a deadline");
    }
}
