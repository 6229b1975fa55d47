//! S7: one wrapped API. The customer signs in, sees just their devices, controls one through Ostler
//! with tokens that never leave it, and reads history; the device cloud is invisible.

use std::time::Duration;

use ostler_testkit::eventually_async;
use serde_json::{Value, json};

use super::on_both;
use crate::world::{Installation, On};

on_both! {
    async fn s7_a_customer_controls_their_device_and_sees_its_history(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;

        let listed = ada.get("/v1/devices").await.expect(200);
        assert_eq!(listed.at("/items").as_array().map(Vec::len), Some(1), "{listed:?}");
        assert_eq!(listed.at("/items/0/id"), device);
        assert_eq!(listed.at("/items/0/product"), "thermostat");
        assert_eq!(listed.at("/next_cursor"), Value::Null);
        let functions = listed.at("/items/0/functions");
        assert_eq!(functions[1], json!({"name": "setTarget", "title": "Set point",
            "argument": {"type": "integer", "min": 5, "max": 30}, "example": "20"}));

        let called = ada.call(&device, "setTarget", "23").await.expect(200);
        assert_eq!((called.at("/status"), called.at("/return_value")), (json!("answered"), json!(23)));
        assert_eq!(called.at("/decision/rule"), "grant");
        assert_eq!(called.at("/upstream/code"), "ok");
        let command_id = called.at("/command_id");
        let again = ada.get(&format!("/v1/commands/{}", command_id.as_str().unwrap())).await.expect(200);
        assert_eq!(again.json(), called.json());

        let acts = installation.sim().acts(0);
        assert_eq!(acts.len(), 1, "{acts:?}");
        let act = serde_json::to_value(&acts[0]).unwrap();
        assert_eq!((&act["device_id"], &act["argument"], &act["credential"]), (&json!(cloud_id.to_string()), &json!("23"), &json!("product")));

        let read = ada.get(&format!("/v1/devices/{device}/variables/target")).await.expect(200);
        assert_eq!(read.at("/value"), 23);

        // The device reports its new set point; both doors bring it, once it is stored.
        let latest = eventually_async("the new set point in latest values", Duration::from_secs(15), || {
            let ada = ada.clone();
            let path = format!("/v1/devices/{device}/latest");
            async move {
                let latest = ada.get(&path).await.expect(200);
                let values = latest.at("/values");
                let target = values.as_array().unwrap().iter().find(|value| value["key"] == "target").cloned();
                target.filter(|target| target["value"] == 23)
            }
        }).await;
        assert_eq!(latest["unit"], "Cel");
        let from = "2020-01-01T00:00:00Z";
        let to = "2099-01-01T00:00:00Z";
        let history = ada.get(&format!("/v1/devices/{device}/history?key=target&from={from}&to={to}")).await.expect(200);
        let points = history.at("/points");
        assert!(points.as_array().unwrap().iter().any(|point| point["value"] == 23), "{history:?}");
        let complete = eventually_async("an interval that is known to be complete", Duration::from_secs(15), || {
            let (ada, path) = (ada.clone(), format!("/v1/devices/{device}/history?key=target&from={from}&to={to}"));
            async move { ada.get(&path).await.expect(200).at("/complete").get(0).cloned() }
        }).await;
        assert_ne!(complete, json!({"from": from, "to": to}), "never the whole range by default");
    }
}

on_both! {
    async fn s7_no_answer_to_a_customer_names_the_device_cloud(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let stranger = fleet.devices[1].0.clone();
        let mut seen = String::new();
        for answer in [
            ada.get("/v1/me").await,
            ada.get("/v1/devices").await,
            ada.get(&format!("/v1/devices/{device}")).await,
            ada.get(&format!("/v1/devices/{stranger}")).await,
            ada.call(&device, "setTarget", "20").await,
            ada.call(&device, "setTarget", "99").await,
            ada.call(&device, "nothing", "").await,
            ada.get(&format!("/v1/devices/{device}/variables/mode")).await,
            ada.get(&format!("/v1/devices/{device}/variables/nothing")).await,
            ada.get(&format!("/v1/devices/{device}/latest")).await,
            ada.get(&format!("/v1/devices/{device}/events")).await,
            ada.get(&format!("/v1/devices/{device}/history?key=temperature&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z")).await,
            installation.anonymous().get("/").await,
            installation.anonymous().get("/.well-known/oauth-authorization-server").await,
        ] {
            seen.push_str(&format!("{:?}\n{}\n", answer.headers, answer.text));
        }
        let seen = seen.to_ascii_lowercase();
        let cloud_host = installation.sim_url();
        for trace in ["particle", "spark", &cloud_id.to_string(), cloud_host.trim_start_matches("http://")] {
            assert!(!seen.contains(trace), "{trace} in {seen}");
        }
        let hexadecimal = seen.as_bytes().windows(40).find(|window| window.iter().all(u8::is_ascii_hexdigit));
        assert!(hexadecimal.is_none(), "{hexadecimal:?}");
    }
}
