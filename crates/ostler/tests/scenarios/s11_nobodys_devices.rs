//! S11: all devices stay unclaimed at the cloud, one server-side token serves the whole fleet, and
//! Ostler alone decides.

use std::collections::BTreeSet;

use super::on_both;
use crate::world::{Installation, On};

on_both! {
    async fn s11_one_server_token_for_a_fleet_that_nobody_owns(installation) {
        let fleet = installation.thermostats().await;
        let client_id = installation.app_client().await;
        let minted_before = token_requests(&installation);
        let mut callers = Vec::new();
        for (index, (device, _)) in fleet.devices.iter().enumerate() {
            let customer = installation.customer(&format!("customer-{index}")).await;
            installation.grant(&customer, device, serde_json::json!({})).await;
            callers.push((installation.signed_in(&client_id, &customer).await, device.clone()));
        }
        let calls = callers.iter().map(|(caller, device)| caller.call(device, "setTarget", "19"));
        for answer in futures_util::future::join_all(calls).await {
            answer.expect(200);
        }

        let acts = installation.sim().acts(0);
        let devices: BTreeSet<_> = acts.iter().map(|act| act.device_id.to_string()).collect();
        let expected: BTreeSet<_> = fleet.devices.iter().map(|(_, cloud_id)| cloud_id.to_string()).collect();
        assert_eq!((acts.len(), devices), (fleet.devices.len(), expected));
        assert!(token_requests(&installation) - minted_before <= 1, "one token serves all");
        for (_, cloud_id) in &fleet.devices {
            let device = installation.sim().device_wire(cloud_id).expect("it is there");
            assert!(device["owner"].is_null() && device["customer_id"].is_null() && device["user_id"].is_null(), "{device}");
        }
        // What one customer holds is nothing to another.
        callers[0].0.call(&callers[1].1, "setTarget", "20").await.expect_problem(404, "not-found");
        assert_eq!(installation.sim().acts(0).len(), acts.len());
    }
}

fn token_requests(installation: &Installation) -> usize {
    installation
        .sim()
        .requests(0)
        .iter()
        .filter(|request| request.path.starts_with("/oauth/token"))
        .count()
}
