//! P10: what had to be called unknown is settled by what is learned later: the answer that comes
//! after its caller's deadline, or an event that the function's contract names (design.md §4).

use ostler_sim::{DeviceId as CloudDeviceId, Fault, FaultKind};
use ostler_testkit::eventually_async;
use serde_json::{Value, json};

use super::{SOON, calls_at_cloud};
use crate::world::{Answer, Caller, Fleet, Installation, On, THERMOSTAT, on_both, product_file};

async fn shown(ada: &Caller, told: &Answer) -> Answer {
    let command_id = told.at("/command_id");
    ada.get(&format!("/v1/commands/{}", command_id.as_str().unwrap()))
        .await
        .expect(200)
}

async fn await_answered(ada: &Caller, told: &Answer) -> Answer {
    eventually_async("the command's answer", SOON, || async {
        let shown = shown(ada, told).await;
        (shown.at("/status") == "answered").then_some(shown)
    })
    .await
}

/// Thermostats whose set point is confirmed by an event that nothing but the test publishes.
async fn confirmed(installation: &Installation) -> (Fleet, Caller) {
    let mut file = product_file(THERMOSTAT);
    file["functions"][0]["confirmed_by"] =
        json!({"event": "thermostat/target", "pointer": "/target", "equals": 21, "within_ms": 60_000});
    let fleet = installation.fleet(&file).await;
    let (account, ada) = installation.customer_with("ada", &fleet.devices[0].0).await;
    installation
        .grant(&account, &fleet.devices[1].0, json!({"source": "share"}))
        .await;
    (fleet, ada)
}

/// The device is silent: it did not act, and nobody can say so.
async fn call_unheard(installation: &Installation, ada: &Caller, device: &(String, CloudDeviceId)) -> Answer {
    let silence = Fault::new(FaultKind::Stale).on(&device.1).for_ms(50).times(1);
    installation.sim().add_fault(silence);
    let told = ada
        .call(&device.0, "setTarget", "21")
        .await
        .expect_problem(504, "outcome-unknown");
    assert_eq!(shown(ada, &told).await.at("/status"), "unknown");
    told
}

/// Waits until the event is stored: afterwards whatever it could settle is settled.
async fn await_stored(ada: &Caller, device: &str, data: &Value) {
    let data = data.to_string();
    eventually_async("the event in the history", SOON, || async {
        let events = ada
            .get(&format!("/v1/devices/{device}/events?limit=500"))
            .await
            .expect(200);
        let items = events.at("/items");
        let found = items
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["data"] == data.as_str());
        found.then_some(())
    })
    .await;
}

on_both! {
    async fn p10_an_event_that_the_contract_names_settles_what_nobody_could_say(installation) {
        let (fleet, ada) = confirmed(&installation).await;
        let devices = &fleet.devices;
        let (device, cloud_id) = &devices[0];
        let sim = installation.sim();
        let publish = |cloud_id: &CloudDeviceId, data: &Value| {
            assert!(sim.publish_as(cloud_id, "thermostat/target", Some(&data.to_string())));
        };

        // What was published before the call says nothing of it.
        let before = json!({"target": 21, "nth": 1});
        publish(cloud_id, &before);
        await_stored(&ada, device, &before).await;
        let unknown = call_unheard(&installation, &ada, &devices[0]).await;
        let overdue = json!({"target": 21, "nth": 0});
        let event = json!({"event": "thermostat/target", "coreid": cloud_id.to_string(),
            "published_at": "2026-01-01T00:00:00.000Z", "data": overdue.to_string()});
        installation.post_event(&fleet, &event).await.expect(204);
        // Nor does another value, another event, or another device.
        let (wrong, elsewhere) = (json!({"target": 22, "nth": 2}), json!({"target": 21, "nth": 3}));
        publish(cloud_id, &wrong);
        publish(&devices[1].1, &elsewhere);
        let other_event = json!({"target": 21, "nth": 4});
        assert!(sim.publish_as(cloud_id, "thermostat/state", Some(&other_event.to_string())));
        await_stored(&ada, device, &wrong).await;
        await_stored(&ada, &devices[1].0, &elsewhere).await;
        await_stored(&ada, device, &other_event).await;
        let still = shown(&ada, &unknown).await;
        assert_eq!((still.at("/status"), still.at("/return_value")), (json!("unknown"), json!(null)));

        publish(cloud_id, &json!({"target": 21, "nth": 5}));
        let settled = await_answered(&ada, &unknown).await;
        assert_eq!(settled.at("/return_value"), Value::Null, "that it acted is known, not what it returned");
        assert_eq!(settled.at("/sent_at"), still.at("/sent_at"));
        assert_eq!(calls_at_cloud(&installation, cloud_id).len(), 1, "nothing was called again");

        // A confirmation that matches no command changes nothing, also none that is settled.
        let again = json!({"target": 21, "nth": 6});
        publish(cloud_id, &again);
        await_stored(&ada, device, &again).await;
        assert_eq!(shown(&ada, &unknown).await.json(), settled.json());
        let answered = ada.call(&devices[1].0, "setTarget", "21").await.expect(200);
        let late = json!({"target": 21, "nth": 7});
        publish(&devices[1].1, &late);
        await_stored(&ada, &devices[1].0, &late).await;
        assert_eq!(shown(&ada, &answered).await.at("/return_value"), 21);
    }
}

on_both! {
    /// A device that acts says so at once: its event is here before the cloud gives up.
    async fn p10_an_event_that_overtakes_the_lost_answer_counts(installation) {
        let fleet = installation.vehicles().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let lost = Fault::new(FaultKind::ExecuteThenTimeout).on(&cloud_id).for_ms(3_000).times(1);
        installation.sim().add_fault(lost);
        let told = ada.call(&device, "lock", "").await.expect(200);
        assert_eq!((told.at("/status"), told.at("/return_value")), (json!("answered"), json!(null)));
        assert_eq!(shown(&ada, &told).await.at("/status"), "answered");
        assert_eq!((installation.sim().acts(0).len(), calls_at_cloud(&installation, &cloud_id).len()), (1, 1));
    }
}

on_both! {
    async fn p10_an_answer_after_the_callers_deadline_settles_the_command(installation) {
        installation.restart_with(&[("OSTLER_CALLS_DEADLINE_SECONDS", "1")]);
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        ada.call(&device, "setTarget", "20").await.expect(200);
        installation.sim().add_fault(Fault::new(FaultKind::Latency).on(&cloud_id).for_ms(3_000).times(1));
        let told = ada.call_with_key(&device, "setTarget", "21", "key").await.expect_problem(504, "outcome-unknown");
        assert_eq!(shown(&ada, &told).await.at("/status"), "unknown");
        let settled = await_answered(&ada, &told).await;
        assert_eq!(settled.at("/return_value"), 21);
        let replayed = ada.call_with_key(&device, "setTarget", "21", "key").await.expect(200);
        assert_eq!((replayed.at("/command_id"), replayed.at("/return_value")), (told.at("/command_id"), json!(21)));
        assert_eq!((installation.sim().acts(0).len(), calls_at_cloud(&installation, &cloud_id).len()), (2, 2));
    }
}
