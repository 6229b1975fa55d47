//! P10: what a caller is told of a command is what is proven, and the ledger says the same word.
//! Each row is something that the cloud does, and the answer that it must lead to.

use ostler_sim::{DeviceId as CloudDeviceId, Fault, FaultKind};
use ostler_testkit::eventually_async;
use serde_json::{Value, json};

use super::{SOON, calls_at_cloud};
use crate::world::{Answer, Caller, Installation, On, THERMOSTAT, on_both, product_file};

/// Thermostats, with a function that the product declares and no device has.
async fn scene(installation: &Installation) -> (String, CloudDeviceId, Caller) {
    let mut file = product_file(THERMOSTAT);
    file["functions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "selfTest", "argument": {"type": "none"}}));
    let fleet = installation.fleet(&file).await;
    let (device, cloud_id) = fleet.devices[0].clone();
    let (_, ada) = installation.customer_with("ada", &device).await;
    // The connection is warm: what follows is about the fault and nothing else.
    ada.call(&device, "setTarget", "20").await.expect(200);
    (device, cloud_id, ada)
}

/// The answer's problem, the word for the command, and the same word in the ledger.
async fn assert_told(ada: &Caller, answer: Answer, problem: (u16, &str), word: &str) -> Value {
    let answer = answer.expect_problem(problem.0, problem.1);
    assert_eq!(answer.at("/command_status"), word, "{answer:?}");
    let shown = ada
        .get(&format!("/v1/commands/{}", answer.at("/command_id").as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(shown.at("/status"), word, "{shown:?}");
    assert_eq!(shown.at("/return_value"), Value::Null);
    assert_eq!(shown.at("/upstream"), answer.at("/upstream"));
    assert!(!shown.at("/settled_at").is_null(), "{shown:?}");
    shown.json()
}

/// Whether something left that could have made the device act.
fn left(shown: &Value) -> bool {
    !shown["sent_at"].is_null()
}

on_both! {
    async fn p10_the_answer_to_each_fault_says_what_is_proven(installation) {
        let (device, cloud_id, ada) = scene(&installation).await;
        let sim = installation.sim();
        let acts = || sim.acts(0).len();
        let quietly = acts();
        let (status, offline) = (|status| Fault::new(FaultKind::Status).with_status(status), Fault::new(FaultKind::Offline));
        for (name, fault, problem, word) in [
            ("the cloud says 500", status(500), (504, "outcome-unknown"), "unknown"),
            ("the cloud says 503", status(503), (504, "outcome-unknown"), "unknown"),
            ("a proxy says 502", Fault::new(FaultKind::EdgeError), (504, "outcome-unknown"), "unknown"),
            ("the device is silent", Fault::new(FaultKind::Stale).for_ms(200), (504, "outcome-unknown"), "unknown"),
            ("the cloud forbids it", status(403), (502, "cloud-refused"), "refused"),
            ("the cloud does not like it", status(422), (502, "cloud-refused"), "refused"),
        ] {
            sim.add_fault(fault.on(&cloud_id).times(1));
            let before = calls_at_cloud(&installation, &cloud_id).len();
            let shown = assert_told(&ada, ada.call(&device, "setTarget", "21").await, problem, word).await;
            assert!(left(&shown), "{name}: {shown}");
            assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), before + 1, "{name}: never again by itself");
            sim.clear_faults();
        }
        let unknown_there = ada.call(&device, "selfTest", "").await;
        assert_told(&ada, unknown_there, (502, "cloud-refused"), "refused").await;
        assert_eq!(acts(), quietly, "the device did nothing");

        // It did act, and nobody could tell us.
        sim.add_fault(Fault::new(FaultKind::ExecuteThenTimeout).on(&cloud_id).for_ms(200).times(1));
        assert_told(&ada, ada.call(&device, "setTarget", "22").await, (504, "outcome-unknown"), "unknown").await;
        assert_eq!(acts(), quietly + 1);

        // The cloud knew that it was not there, and it has not been heard since.
        sim.add_fault(offline.on(&cloud_id));
        await_silence(&installation, &cloud_id).await;
        let shown = assert_told(&ada, ada.call(&device, "setTarget", "23").await, (503, "device-offline"), "offline").await;
        assert!(left(&shown), "only the cloud could say: {shown}");
        sim.clear_faults();
        ada.call(&device, "setTarget", "24").await.expect(200);
        assert_eq!(acts(), quietly + 2);
    }
}

/// The cloud tells the second in which it was asked: only a device that was last heard before that
/// second is known not to have acted since.
async fn await_silence(installation: &Installation, cloud_id: &CloudDeviceId) {
    eventually_async("a device not heard for two seconds", SOON, || async {
        let wire = installation.sim().device_wire(cloud_id).expect("it is there");
        let last_heard: ostler_core::time::Timestamp = wire["last_heard"].as_str()?.parse().ok()?;
        (installation.sim().now_ms() - last_heard.millis() > 2_000).then_some(())
    })
    .await;
}

on_both! {
    async fn p10_nothing_is_sent_to_a_device_that_is_known_to_be_offline(installation) {
        let (device, cloud_id, ada) = scene(&installation).await;
        let path = format!("/v1/devices/{device}");
        let presence = |expected: bool| {
            let (ada, path) = (ada.clone(), path.clone());
            async move { (ada.get(&path).await.expect(200).at("/online") == expected).then_some(()) }
        };
        // Presence is known while the product's event stream stands.
        installation.sim().set_online(&cloud_id, false);
        eventually_async("the news that it is offline", SOON, || presence(false)).await;
        let before = calls_at_cloud(&installation, &cloud_id).len();
        let shown = assert_told(&ada, ada.call(&device, "setTarget", "21").await, (503, "device-offline"), "offline").await;
        assert!(!left(&shown), "{shown}");
        let unread = ada.get(&format!("{path}/variables/target")).await.expect_problem(503, "device-offline");
        assert!(!unread.text.contains("cmd_"));
        assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), before);

        installation.sim().set_online(&cloud_id, true);
        eventually_async("the news that it is back", SOON, || presence(true)).await;
        ada.call(&device, "setTarget", "22").await.expect(200);
    }
}

on_both! {
    async fn p10_the_clouds_limit_is_told_with_the_time_to_come_back(installation) {
        let (device, cloud_id, ada) = scene(&installation).await;
        installation.sim().add_fault(Fault::new(FaultKind::RateLimit).on(&cloud_id).times(1));
        let before = calls_at_cloud(&installation, &cloud_id).len();
        for nth in 1..=3 {
            let limited = ada.call(&device, "setTarget", "21").await;
            let seconds: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{limited:?}");
            assert_told(&ada, limited, (503, "cloud-unavailable"), "refused").await;
            assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), before + 1, "call {nth} did not leave again");
        }
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn p10_a_cloud_that_cannot_be_reached_did_nothing(installation) {
        let (device, cloud_id, ada) = scene(&installation).await;
        installation.stop_cloud().await;
        for _ in 0..3 {
            let shown = assert_told(&ada, ada.call(&device, "setTarget", "21").await, (503, "cloud-unavailable"), "refused").await;
            assert!(!left(&shown), "{shown}");
        }
        ada.get(&format!("/v1/devices/{device}/variables/target")).await.expect_problem(503, "cloud-unavailable");
        assert_eq!((installation.sim().acts(0).len(), calls_at_cloud(&installation, &cloud_id).len()), (1, 1));
    }
}
