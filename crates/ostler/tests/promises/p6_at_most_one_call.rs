//! P6: one idempotency key is at most one call to the device, and a call whose outcome is unknown is
//! never repeated by itself.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use ostler_sim::{Fault, FaultKind};
use ostler_testkit::eventually_async;
use reqwest::Method;
use serde_json::json;

use super::{SOON, await_calls_at_cloud, calls_at_cloud};
use crate::world::{Installation, On, on_both};

on_both! {
    async fn p6_fifty_requests_with_one_key_are_one_act(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        installation.sim().add_fault(Fault::new(FaultKind::Latency).on(&cloud_id).for_ms(300));
        let calls = join_all((0..50).map(|_| ada.call_with_key(&device, "setTarget", "23", "one key"))).await;

        let mut commands = BTreeSet::new();
        let mut answered = 0;
        for call in calls {
            let call = if call.status == 200 { answered += 1; call } else { call.expect_problem(409, "idempotency-key-in-flight") };
            commands.insert(call.at("/command_id").to_string());
        }
        assert!(answered >= 1);
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert_eq!((installation.sim().acts(0).len(), calls_at_cloud(&installation, &cloud_id).len()), (1, 1));

        // Afterwards it is told again, never made again, also by a server that was killed in between.
        let told = ada.call_with_key(&device, "setTarget", "23", "one key").await.expect(200);
        installation.crash_and_restart();
        let again = ada.call_with_key(&device, "setTarget", "23", "one key").await.expect(200);
        assert_eq!(told.json(), again.json());
        assert_eq!(installation.sim().acts(0).len(), 1);
    }
}

on_both! {
    async fn p6_a_key_names_one_request_of_one_customer(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let (bob_account, bob) = installation.customer_with("bob", &fleet.devices[1].0).await;
        installation.grant(&bob_account, &device, json!({"source": "share"})).await;
        ada.call_with_key(&device, "setTarget", "20", "key").await.expect(200);
        ada.call_with_key(&device, "setTarget", "21", "key").await.expect_problem(422, "idempotency-key-reused");
        // Looked up before the contract is: this argument would be refused.
        ada.call_with_key(&device, "setTarget", "99", "key").await.expect_problem(422, "idempotency-key-reused");
        assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), 1);
        // Another function, another customer: another key.
        ada.call_with_key(&device, "setMode", "heat", "key").await.expect(200);
        bob.call_with_key(&device, "setTarget", "22", "key").await.expect(200);
        assert_eq!(installation.sim().acts(0).len(), 3);
    }
}

on_both! {
    async fn p6_while_the_first_runs_the_second_is_told_so(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        installation.sim().add_fault(Fault::new(FaultKind::Latency).on(&cloud_id).for_ms(3_000));
        let first = {
            let (ada, device) = (ada.clone(), device.clone());
            tokio::spawn(async move { ada.call_with_key(&device, "setTarget", "23", "key").await })
        };
        await_calls_at_cloud(&installation, &cloud_id, 1).await;
        let second = ada.call_with_key(&device, "setTarget", "23", "key").await.expect_problem(409, "idempotency-key-in-flight");
        ada.call_with_key(&device, "setTarget", "24", "key").await.expect_problem(422, "idempotency-key-reused");
        let first = first.await.unwrap().expect(200);
        assert_eq!(first.at("/command_id"), second.at("/command_id"));
        assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), 1);
    }
}

on_both! {
    async fn p6_a_call_whose_answer_was_lost_is_never_made_again(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        installation.sim().add_fault(Fault::new(FaultKind::ExecuteThenTimeout).on(&cloud_id).for_ms(300).times(1));
        let unknown = ada.call_with_key(&device, "setTarget", "27", "key").await.expect_problem(504, "outcome-unknown");
        assert_eq!(unknown.at("/command_status"), "unknown");
        let command_id = unknown.at("/command_id").as_str().unwrap().to_owned();

        let replayed = ada.call_with_key(&device, "setTarget", "27", "key").await.expect_problem(504, "outcome-unknown");
        assert_eq!(replayed.at("/command_id"), command_id);
        installation.restart();
        ada.call_with_key(&device, "setTarget", "27", "key").await.expect_problem(504, "outcome-unknown");
        let shown = ada.get(&format!("/v1/commands/{command_id}")).await.expect(200);
        assert_eq!((shown.at("/status"), shown.at("/return_value")), (json!("unknown"), json!(null)));
        let acts = installation.sim().acts(0);
        assert_eq!((acts.len(), acts[0].argument.as_str()), (1, "27"), "it did act, once");
        assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), 1);
    }
}

on_both! {
    async fn p6_whoever_does_not_wait_gets_an_address_to_look_at(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        installation.sim().add_fault(Fault::new(FaultKind::Latency).on(&cloud_id).for_ms(700));
        let call = || {
            let request = ada.request(Method::POST, &format!("/v1/devices/{device}/functions/setTarget"));
            request.header("Prefer", "respond-async").header("Idempotency-Key", "key").json(&json!({"argument": "24"}))
        };
        let accepted = ada.send(call()).await.expect(202);
        assert!(matches!(accepted.at("/status").as_str(), Some("accepted" | "sent")), "{accepted:?}");
        let location = accepted.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(location, format!("/v1/commands/{}", accepted.at("/command_id").as_str().unwrap()));

        let settled = eventually_async("the outcome", SOON, || async {
            let shown = ada.get(&location).await.expect(200);
            (!shown.at("/settled_at").is_null()).then_some(shown)
        }).await;
        assert_eq!((settled.at("/status"), settled.at("/return_value")), (json!("answered"), json!(24)));
        let again = ada.send(call()).await;
        assert_eq!(again.at("/command_id"), accepted.at("/command_id"));
        assert_eq!((installation.sim().acts(0).len(), calls_at_cloud(&installation, &cloud_id).len()), (1, 1));
    }
}
