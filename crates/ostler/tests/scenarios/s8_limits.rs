//! S8: limits on what may be invoked: which functions, which arguments, how often, by whom, in which
//! state of the device. What is refused never reaches the cloud.

use serde_json::json;

use super::on_both;
use crate::world::{Installation, On};

on_both! {
    async fn s8_what_the_contract_refuses_never_reaches_the_device(installation) {
        let fleet = installation.thermostats().await;
        let (device, _) = fleet.devices[0].clone();
        let ada = installation.customer("ada").await;
        let client_id = installation.app_client().await;
        installation.grant(&ada, &device, json!({"source": "guest", "functions": ["setTarget", "setMode"]})).await;
        let ada = installation.signed_in(&client_id, &ada).await;

        for argument in ["4", "31", "020", " 20", "20.5", "", "warm", "999999999999999999999", "2\u{0}0"] {
            let refused = ada.call(&device, "setTarget", argument).await.expect_problem(403, "argument-not-allowed");
            assert_eq!(refused.at("/errors/0/pointer"), "/argument");
            assert_eq!(refused.at("/command_status"), "refused");
            assert_eq!(refused.at("/upstream"), json!(null));
        }
        ada.call(&device, "selfDestruct", "").await.expect_problem(403, "function-not-granted");
        // Declared for owners, shares and staff: a guest holds the name, but not the title.
        ada.call(&device, "setMode", "heat").await.expect_problem(403, "function-not-granted");
        // What cannot be a name is as good as one that is not declared; a stranger is told of neither.
        let eve = installation.customer("eve").await;
        let eve = installation.signed_in(&client_id, &eve).await;
        for name in ["ping", "Events", "a%20b", "%C3%A4", "..%2Fx", &"x".repeat(300), "undeclared"] {
            let variable = format!("/v1/devices/{device}/variables/{name}");
            ada.call(&device, name, "").await.expect_problem(403, "function-not-granted");
            ada.get(&variable).await.expect_problem(403, "function-not-granted");
            eve.call(&device, name, "").await.expect_problem(404, "not-found");
            eve.get(&variable).await.expect_problem(404, "not-found");
        }
        let refused = installation.maker().await.get("/admin/v1/commands?status=refused&limit=200").await.expect(200);
        let refused = refused.at("/items");
        let unnamed = refused.as_array().unwrap().iter().filter(|command| command["function"] == "undeclared");
        assert!(unnamed.count() >= 7, "{refused}");
        assert!(installation.sim().acts(0).is_empty());
        ada.call(&device, "setTarget", "30").await.expect(200);
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn s8_a_cool_down_lets_one_of_many_through(installation) {
        let fleet = installation.vehicles().await;
        let (device, _) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let calls = (0..8).map(|_| ada.call(&device, "locate", ""));
        let answers = futures_util::future::join_all(calls).await;
        let (through, cooling): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(through.len(), 1);
        for answer in cooling {
            let answer = answer.expect_problem(429, "cooling-down");
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        }
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn s8_a_quarantined_device_rests(installation) {
        let fleet = installation.vehicles().await;
        let (device, _) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let maker = installation.maker().await;
        let quarantine = format!("/admin/v1/devices/{device}/quarantine");
        assert!(maker.post(&quarantine, &json!({"reason": "brake report"})).await.status.is_success());
        ada.call(&device, "unlock", "").await.expect_problem(403, "condition-not-met");
        assert!(installation.sim().acts(0).is_empty());
        let released = maker.send(maker.request(reqwest::Method::DELETE, &quarantine)).await;
        assert!(released.status.is_success(), "{released:?}");
        ada.call(&device, "unlock", "").await.expect(200);
    }
}
