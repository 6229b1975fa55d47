//! What leaves, when, how often; and what is said when something goes wrong on the way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ostler_app::device_cloud::DeviceCloud;
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use ostler_core::policy::TicketState;
use serde_json::{Value, json};

use crate::permits::BARN_3;
use crate::stub::{Stub, TOKEN, Told, returned};
use crate::support::{Adapter, DEADLINE, client, options};

#[tokio::test]
async fn a_call_leaves_as_the_reference_writes_it() {
    let stub = Stub::minting(|_| returned(-7)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let permit = adapter.permit("setValve", "3,\"ö\"");
    assert_eq!(
        adapter.particle.call_function(&permit, DEADLINE).await,
        CallOutcome::Returned(-7)
    );
    assert_eq!(permit.ticket().state(), TicketState::Departed);

    let calls = stub.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, format!("/v1/products/40123/devices/{BARN_3}/setValve"));
    assert_eq!(calls[0].header("content-type"), Some("application/json"));
    assert_eq!(
        calls[0].header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(
        Some(calls[0].header("host").unwrap()),
        stub.base_url.strip_prefix("http://")
    );
    let body: Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!(body, json!({"arg": "3,\"ö\""}));
}

#[tokio::test]
async fn connections_are_used_again() {
    let stub = Stub::minting(|_| returned(1)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for _ in 0..20 {
        assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    }
    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn nothing_leaves_with_a_lapsed_permit() {
    let stub = Stub::minting(|_| returned(1)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let permit = adapter.permit("setValve", "");
    adapter.skip(Duration::from_millis(250));
    let outcome = adapter.particle.call_function(&permit, DEADLINE).await;
    assert_eq!(outcome, CallOutcome::NotSent(NotSent::PermitLapsed));
    assert_eq!(permit.ticket().state(), TicketState::Returned);
    assert_eq!(stub.calls().len(), 0);
    // The token and the connection that made it late are there for the next permit.
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    assert_eq!((stub.mints(), stub.connections()), (1, 1));
}

#[tokio::test]
async fn a_product_without_a_connection_sends_nothing() {
    let adapter = Adapter::unconnected(options());
    assert_eq!(adapter.call().await, CallOutcome::NotSent(NotSent::NotConnected));
    let adapter = Adapter::new("http://api.particle.example", client("secret"));
    assert_eq!(adapter.call().await, CallOutcome::NotSent(NotSent::NotConnected));
}

#[tokio::test]
async fn what_could_not_connect_was_not_sent() {
    let port = ostler_testkit::free_port();
    let adapter = Adapter::new(&format!("http://127.0.0.1:{port}"), client("secret"));
    let permit = adapter.permit("setValve", "");
    let outcome = adapter.particle.call_function(&permit, DEADLINE).await;
    assert_eq!(outcome, CallOutcome::NotSent(NotSent::ConnectionFailed));
    assert_ne!(permit.ticket().state(), TicketState::Departed);
}

#[tokio::test]
async fn what_was_lost_on_the_way_is_unknown_and_never_repeated() {
    for told in [Told::Close, Told::Hang] {
        let answer = told.clone();
        let stub = Stub::minting(move |_| answer.clone()).await;
        let adapter = Adapter::new(&stub.base_url, client("secret"));
        let outcome = adapter.call_within(Duration::from_millis(300)).await;
        assert_eq!(outcome, CallOutcome::Unknown, "{told:?}");
        assert_eq!(stub.calls().len(), 1, "{told:?}");
    }
}

#[tokio::test]
async fn a_deadline_that_passes_before_departure_says_so() {
    let stub = Stub::start(|_| Told::Hang).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let outcome = adapter.call_within(Duration::from_millis(100)).await;
    assert_eq!(outcome, CallOutcome::NotSent(NotSent::ConnectionFailed));
    assert_eq!(stub.calls().len(), 0);
}

#[tokio::test]
async fn a_connection_that_the_cloud_closed_meanwhile_costs_no_call() {
    let stub = Stub::minting(|_| Told::AnswerAndClose {
        status: 200,
        body: r#"{"return_value":1}"#.into(),
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for round in 1..=20 {
        // The peer's closing may be noticed only now; then nothing left, and policy judges again.
        let mut outcome = adapter.call().await;
        while outcome == CallOutcome::NotSent(NotSent::PermitLapsed) {
            outcome = adapter.call().await;
        }
        if outcome == CallOutcome::Returned(1) {
            continue;
        }
        // The peer closed with our request on the wire: it cannot be known that it was not read.
        assert_eq!(outcome, CallOutcome::Unknown, "round {round}");
    }
    assert!(stub.calls().len() <= 20);
}

#[tokio::test]
async fn after_failures_in_a_row_calls_fail_at_once_until_a_probe_succeeds() {
    let failures = AtomicUsize::new(0);
    let stub = Stub::minting(move |_| {
        if failures.fetch_add(1, Ordering::Relaxed) < 5 {
            Told::text(502, "<html>Bad gateway</html>")
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for _ in 0..5 {
        assert_eq!(adapter.call().await, CallOutcome::Unknown);
    }
    for _ in 0..3 {
        assert_eq!(adapter.call().await, CallOutcome::NotSent(NotSent::CircuitOpen));
    }
    assert_eq!(stub.calls().len(), 5, "an open circuit lets nothing through");
    adapter.skip(Duration::from_secs(1));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
}

#[tokio::test]
async fn a_cloud_that_says_nothing_for_longer_than_a_device_may_is_sick() {
    let stub = Stub::minting(|_| Told::Hang).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for _ in 0..5 {
        let pass_time = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            adapter.skip(Duration::from_secs(35));
        };
        let (outcome, ()) = tokio::join!(adapter.call_within(Duration::from_millis(150)), pass_time);
        assert_eq!(outcome, CallOutcome::Unknown);
    }
    assert_eq!(adapter.call().await, CallOutcome::NotSent(NotSent::CircuitOpen));
}

#[tokio::test]
async fn a_silent_device_does_not_open_the_circuit_for_the_others() {
    let stub = Stub::minting(|_| Told::Hang).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for _ in 0..8 {
        let outcome = adapter.call_within(Duration::from_millis(50)).await;
        assert_eq!(outcome, CallOutcome::Unknown);
    }
    assert_eq!(stub.calls().len(), 8);
}

#[tokio::test]
async fn after_a_429_nobody_asks_before_the_pause_is_over() {
    let calls = AtomicUsize::new(0);
    let stub = Stub::minting(move |_| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            Told::text(429, "").with("retry-after", "7")
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    for _ in 0..3 {
        let CallOutcome::RateLimited {
            retry_after: Some(pause),
        } = adapter.call().await
        else {
            panic!("the limit stands");
        };
        assert!(
            pause <= Duration::from_secs(7) && pause > Duration::from_secs(5),
            "{pause:?}"
        );
    }
    assert_eq!(stub.calls().len(), 1);
    adapter.skip(Duration::from_secs(7));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
}

#[tokio::test]
async fn an_unknown_device_is_told_from_an_unknown_function() {
    let stub = Stub::minting(|_| Told::text(404, r#"{"ok":false,"error":"Device not found for this product"}"#)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    assert_eq!(adapter.call().await, CallOutcome::Refused(CloudRefusal::DeviceUnknown));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let stub = Stub::minting(|_| Told::text(200, &"x".repeat(2 << 20))).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    assert_eq!(adapter.call().await, CallOutcome::Unknown);
}
