//! S2: the maker's server calls functions by itself, when no customer has been signed in for months.

use serde_json::json;

use super::on_both;
use crate::world::{Installation, On};

on_both! {
    async fn s2_the_makers_server_acts_when_nobody_is_signed_in(installation) {
        let fleet = installation.vehicles().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let maker = installation.maker().await;
        let path = format!("/admin/v1/devices/{device}/functions/lock");

        let called = maker.post(&path, &json!({"argument": "", "reason": "left open over night"})).await.expect(200);
        assert_eq!((called.at("/status"), called.at("/return_value")), (json!("answered"), json!(1)));
        assert_eq!(called.at("/decision"), json!({"allowed": true, "rule": "staff", "grant_id": null}));
        let acts = installation.sim().acts(0);
        assert_eq!((acts.len(), acts[0].device_id.to_string()), (1, cloud_id.to_string()));

        let command_id = called.at("/command_id");
        let shown = maker.get(&format!("/admin/v1/commands/{}", command_id.as_str().unwrap())).await.expect(200);
        assert_eq!(shown.at("/reason"), "left open over night");

        // The same contract for the maker: what takes no argument takes none.
        maker.post(&path, &json!({"argument": "now"})).await.expect_problem(403, "argument-not-allowed");
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn s2_on_behalf_of_a_customer_only_the_customers_rights_count(installation) {
        let fleet = installation.vehicles().await;
        let (device, _) = fleet.devices[0].clone();
        let ada = installation.customer("ada").await;
        let maker = installation.maker().await;
        let path = format!("/admin/v1/devices/{device}/functions/unlock");
        let as_ada = json!({"argument": "", "customer_id": ada.id});

        maker.post(&path, &as_ada).await.expect_problem(404, "not-found");
        let grant = installation.grant(&ada, &device, json!({"source": "share", "functions": ["unlock"]})).await;
        let called = maker.post(&path, &as_ada).await.expect(200);
        assert_eq!(called.at("/decision/grant_id"), grant);
        let lock = format!("/admin/v1/devices/{device}/functions/lock");
        maker.post(&lock, &as_ada).await.expect_problem(403, "function-not-granted");
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn s2_a_fleet_key_controls_its_product_and_nothing_else(installation) {
        let (thermostats, vehicles) = (installation.thermostats().await, installation.vehicles().await);
        let maker = installation.maker().await;
        let client = maker.post("/admin/v1/clients", &json!({"name": "night job", "kind": "confidential",
            "flows": ["client_credentials"], "scopes": ["fleet:control"], "redirect_uris": [], "refresh_policy": "none",
            "products": [vehicles.product_id]})).await;
        assert!(client.status.is_success(), "{client:?}");
        let key = installation.machine_caller(client.at("/client_id").as_str().unwrap(), client.at("/client_secret").as_str().unwrap()).await;

        let call = async |device: &str, function: &str, argument: &str| {
            key.post(&format!("/admin/v1/devices/{device}/functions/{function}"), &json!({"argument": argument})).await
        };
        call(&vehicles.devices[0].0, "lock", "").await.expect(200);
        call(&thermostats.devices[0].0, "setTarget", "20").await.expect_problem(404, "not-found");
        key.get("/admin/v1/products").await.expect_problem(403, "insufficient-scope");
        key.get("/v1/devices").await.expect_problem(403, "insufficient-scope");
    }
}
