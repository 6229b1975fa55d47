//! On one core the server's runtime has no workers: whatever waited without letting others go first would stop
//! everybody. So a little of everything is done at once, and all of it has to come through.

use futures_util::future::join_all;
use ostler_core::time::Timestamp;
use serde_json::{Value, json};

use crate::world::{Customer, Fleet, Installation, On, on_both};

const AT_ONCE: usize = 12;

on_both! {
    async fn on_one_core_everything_goes_on_at_once(installation) {
        installation.keep_to_one_core(true);
        installation.restart();
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].0.clone();
        let client_id = installation.app_client().await;
        let ada = installation.customer("ada").await;
        installation.grant(&ada, &device, json!({})).await;

        let sign_ins = join_all((0..AT_ONCE).map(|_| reads(&installation, &client_id, &ada, &device)));
        let calls = join_all((0..AT_ONCE).map(|number| calls(&installation, &device, number)));
        let events = join_all((0..AT_ONCE).map(|number| delivers(&installation, &fleet, number)));
        tokio::join!(sign_ins, calls, events);

        // A polite stop, with nothing lost that was acknowledged.
        installation.restart();
        let maker = installation.maker().await;
        let commands = maker.get("/admin/v1/commands?limit=200").await.expect(200);
        assert_eq!(commands.at("/items").as_array().map(Vec::len), Some(AT_ONCE));
        assert_eq!(installation.sim().acts(0).len(), AT_ONCE);
        let customer = installation.signed_in(&client_id, &ada).await;
        assert_eq!(stored(&customer.get(&format!("/v1/devices/{device}/events?limit=200")).await.expect(200).json()), AT_ONCE);
    }
}

/// A password that is checked (RFC 9106 takes its time), and a list that is read.
async fn reads(installation: &Installation, client_id: &str, customer: &Customer, device: &str) {
    let caller = installation.signed_in(client_id, customer).await;
    let listed = caller.get("/v1/devices").await.expect(200);
    assert_eq!(listed.at("/items/0/id"), device);
}

async fn calls(installation: &Installation, device: &str, number: usize) {
    let maker = installation.maker().await;
    let path = format!("/admin/v1/devices/{device}/functions/setTarget");
    let argument = json!({"argument": (15 + number % 10).to_string()});
    let called = maker.post(&path, &argument).await.expect(200);
    assert_eq!(called.at("/status"), "answered");
}

async fn delivers(installation: &Installation, fleet: &Fleet, number: usize) {
    let event = json!({"event": "one-core", "coreid": fleet.devices[0].1.to_string(), "data": number.to_string(),
        "published_at": Timestamp::from_millis(installation.sim().now_ms()).to_string()});
    installation.post_event(fleet, &event).await.expect(204);
}

fn stored(events: &Value) -> usize {
    let items = events["items"].as_array().into_iter().flatten();
    items.filter(|event| event["name"] == "one-core").count()
}
