//! Calls against the simulated cloud while something is wrong with it. What the adapter says must
//! fit what the device really did, which the simulator knows.

use std::time::Duration;

use futures_util::future::join_all;
use ostler_app::device_cloud::{DeviceCloud, ReadOutcome};
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use ostler_sim::{Fault, FaultKind};
use serde_json::json;

use crate::permits::{BARN_3, call_permit};
use crate::simulated::Barn;
use crate::support::DEADLINE;

const LAPSED: CallOutcome = CallOutcome::NotSent(NotSent::PermitLapsed);

#[tokio::test]
async fn a_call_acts_once_and_tells_the_devices_answer() {
    let barn = Barn::new().await;
    assert_eq!(barn.adapter().call().await, CallOutcome::Returned(1));
    let acts = barn.cloud.acts(0);
    assert_eq!(acts.len(), 1);
    assert_eq!(
        (acts[0].function.as_str(), acts[0].argument.as_str()),
        ("setValve", "3,open")
    );
}

#[tokio::test]
async fn a_hundred_calls_at_once_mint_once_at_the_cloud() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let outcomes = join_all((0..100).map(|_| adapter.call_judged_again())).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == CallOutcome::Returned(1)),
        "{outcomes:?}"
    );
    assert_eq!((barn.acts(), barn.asked("/oauth/token")), (100, 1));
}

#[tokio::test]
async fn offline_is_said_only_if_the_device_was_not_heard_since() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    assert!(barn.cloud.set_online(&barn.device, false));
    assert_eq!(
        adapter.call().await,
        CallOutcome::Unknown,
        "it was heard in this very second"
    );
    barn.cloud.advance_ms(10_000);
    assert_eq!(adapter.call().await, CallOutcome::DeviceOffline);
    assert_eq!(adapter.read().await, ReadOutcome::DeviceOffline);
    assert_eq!(barn.acts(), 0);
}

#[tokio::test]
async fn a_silent_device_is_unknown_whether_it_acted_or_not() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    barn.cloud.add_fault(Fault::new(FaultKind::Stale).for_ms(50).times(1));
    assert_eq!(adapter.call().await, CallOutcome::Unknown);
    assert_eq!(barn.acts(), 0);
    barn.cloud
        .add_fault(Fault::new(FaultKind::ExecuteThenTimeout).for_ms(50).times(1));
    assert_eq!(adapter.call().await, CallOutcome::Unknown);
    assert_eq!(barn.acts(), 1, "it acted, once");
}

#[tokio::test]
async fn a_cloud_slower_than_the_deadline_is_unknown() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    barn.cloud.add_fault(Fault::new(FaultKind::Latency).for_ms(2_000));
    assert_eq!(
        adapter.call_within(Duration::from_millis(200)).await,
        CallOutcome::Unknown
    );
}

#[tokio::test]
async fn a_failing_cloud_is_unknown_then_left_alone() {
    for fault in [
        Fault::new(FaultKind::Status).with_status(503),
        Fault::new(FaultKind::EdgeError),
    ] {
        let barn = Barn::new().await;
        let adapter = barn.adapter();
        assert_eq!(adapter.call().await, CallOutcome::Returned(1));
        barn.cloud.add_fault(fault.clone());
        for _ in 0..5 {
            assert_eq!(adapter.call().await, CallOutcome::Unknown, "{fault:?}");
        }
        assert_eq!(
            adapter.call().await,
            CallOutcome::NotSent(NotSent::CircuitOpen),
            "{fault:?}"
        );
        barn.cloud.clear_faults();
        adapter.skip(Duration::from_secs(1));
        assert_eq!(adapter.call().await, CallOutcome::Returned(1), "{fault:?}");
        assert_eq!(barn.acts(), 2);
    }
}

#[tokio::test]
async fn expired_tokens_cost_one_mint_and_no_act() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    for round in 1..=3 {
        assert_eq!(adapter.call().await, CallOutcome::Returned(1));
        barn.cloud.add_fault(Fault::new(FaultKind::ExpireTokens));
        assert_eq!(adapter.call().await, LAPSED, "round {round}");
        assert_eq!(adapter.call().await, CallOutcome::Returned(1));
        assert_eq!(barn.acts(), 2 * round);
        assert_eq!(barn.asked("/oauth/token"), 1 + round);
    }
    barn.cloud.add_fault(Fault::new(FaultKind::ExpireTokens));
    let devices = adapter.particle.list_devices(adapter.product_id).await.unwrap();
    assert_eq!(devices.len(), 1, "what needs no permit is asked again by itself");
}

#[tokio::test]
async fn the_vendors_limit_is_met_once() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    barn.cloud.add_fault(Fault::new(FaultKind::RateLimit));
    let before = barn.cloud.requests(0).len();
    for _ in 0..10 {
        let outcome = adapter.call().await;
        assert!(
            matches!(outcome, CallOutcome::RateLimited { retry_after: Some(_) }),
            "{outcome:?}"
        );
    }
    assert_eq!(barn.cloud.requests(0).len(), before + 1);
    barn.cloud.clear_faults();
    adapter.skip(Duration::from_secs(5));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
}

#[tokio::test]
async fn what_the_cloud_does_not_know_is_named() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let unknown_function = adapter.permit("blink", "");
    let outcome = adapter.particle.call_function(&unknown_function, DEADLINE).await;
    assert_eq!(outcome, CallOutcome::Refused(CloudRefusal::FunctionUnknown));
    let stranger = BARN_3.replace("18", "99");
    let unknown_device = call_permit(adapter.product_id, &stranger, "setValve", "1", &*adapter.clock);
    let outcome = adapter.particle.call_function(&unknown_device, DEADLINE).await;
    assert_eq!(outcome, CallOutcome::Refused(CloudRefusal::DeviceUnknown));
}

#[tokio::test]
async fn a_wrong_secret_asks_the_cloud_once() {
    let barn = Barn::new().await;
    let adapter = crate::support::Adapter::new(&barn.sim.base_url(), crate::support::client("wrong"));
    for _ in 0..50 {
        assert_eq!(adapter.call().await, CallOutcome::NotSent(NotSent::CredentialRejected));
    }
    assert_eq!(barn.asked("/oauth/token"), 1);
}

#[tokio::test]
async fn variables_are_read() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    assert_eq!(adapter.read().await, ReadOutcome::Value(json!(3.91)));
    barn.cloud.add_fault(Fault::new(FaultKind::Stale).for_ms(50).times(1));
    assert_eq!(adapter.read().await, ReadOutcome::NoAnswer);
    barn.cloud.add_fault(Fault::new(FaultKind::ExpireTokens));
    assert_eq!(adapter.read().await, ReadOutcome::PermitLapsed);
    assert_eq!(adapter.read().await, ReadOutcome::Value(json!(3.91)));
}

#[tokio::test]
async fn all_pages_of_devices_are_listed() {
    let barn = Barn::new().await;
    for number in 0..260 {
        barn.add_device(None, &format!("barn-{number}"));
    }
    let adapter = barn.adapter();
    let devices = adapter.particle.list_devices(adapter.product_id).await.unwrap();
    assert_eq!(devices.len(), 261);
    let first = devices
        .iter()
        .find(|device| device.cloud_device_id.as_str() == BARN_3)
        .unwrap();
    assert_eq!(first.name.as_deref(), Some("barn-3"));
    assert_eq!(
        (first.online, first.owned, first.quarantined),
        (Some(true), false, false)
    );
    assert!(first.last_heard.is_some());
}
