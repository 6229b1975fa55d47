//! One mint for all who wait; another when a token expires or is refused; none for a credential
//! that the cloud does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ostler_app::device_cloud::{CloudCredential, CloudError, DeviceCloud};
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use ostler_testkit::eventually_async;

use crate::stub::{Stub, Told, returned};
use crate::support::{Adapter, client, connection, options, product_id};

const LAPSED: CallOutcome = CallOutcome::NotSent(NotSent::PermitLapsed);
const REJECTED: CallOutcome = CallOutcome::NotSent(NotSent::CredentialRejected);

fn token(number: usize, expires_in: u64) -> Told {
    let text = format!(r#"{{"access_token":"{number:040x}","token_type":"bearer","expires_in":{expires_in}}}"#);
    Told::text(200, &text)
}

#[tokio::test]
async fn a_hundred_calls_at_once_mint_one_token() {
    let stub = Stub::minting(|_| returned(1)).await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let outcomes = join_all((0..100).map(|_| adapter.call_judged_again())).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == CallOutcome::Returned(1)),
        "{outcomes:?}"
    );
    assert_eq!(stub.mints(), 1);
    let mint = stub.asked().remove(0);
    assert_eq!(mint.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        mint.body,
        "grant_type=client_credentials&client_id=backend-4711&client_secret=secret"
    );
}

#[tokio::test]
async fn a_caller_who_goes_away_while_a_token_is_minted_does_not_lose_it() {
    let stub = Stub::start(|asked| {
        if asked.is_mint() {
            Told::Late {
                after: Duration::from_millis(300),
                body: format!(r#"{{"access_token":"{:040x}","expires_in":7200}}"#, 1),
            }
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let early = adapter.call_within(Duration::from_millis(30)).await;
    assert_eq!(early, CallOutcome::NotSent(NotSent::ConnectionFailed));
    assert_eq!(adapter.call_judged_again().await, CallOutcome::Returned(1));
    assert_eq!(stub.mints(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_nobody_waits_for_it() {
    let mints = AtomicUsize::new(0);
    let stub = Stub::start(move |asked| {
        if asked.is_mint() {
            token(mints.fetch_add(1, Ordering::Relaxed), 7200)
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    adapter.skip(Duration::from_secs(7200 - 599));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    eventually_async("the new token to be used", Duration::from_secs(5), async || {
        adapter.call().await;
        let last = stub.calls().pop().unwrap();
        last.header("authorization").unwrap().ends_with('1').then_some(())
    })
    .await;
    assert_eq!(stub.mints(), 2);
    adapter.skip(Duration::from_secs(7200));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    assert_eq!(stub.mints(), 3, "an expired token is not tried");
}

#[tokio::test]
async fn after_a_401_one_new_token_is_minted_and_rights_are_judged_again() {
    let mints = AtomicUsize::new(0);
    let stub = Stub::start(move |asked| {
        if asked.is_mint() {
            return token(mints.fetch_add(1, Ordering::Relaxed), 7200);
        }
        if asked.header("authorization").unwrap().ends_with('0') {
            Told::text(401, r#"{"error":"invalid_token","error_description":"x"}"#)
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    let outcomes = join_all((0..50).map(|_| adapter.call())).await;
    for outcome in outcomes {
        assert!(outcome == LAPSED || outcome == CallOutcome::Returned(1), "{outcome:?}");
    }
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    assert_eq!(stub.mints(), 2);
}

#[tokio::test]
async fn a_401_to_a_fresh_token_is_a_refusal_not_a_loop() {
    let mints = AtomicUsize::new(0);
    let stub = Stub::start(move |asked| {
        if asked.is_mint() {
            token(mints.fetch_add(1, Ordering::Relaxed), 7200)
        } else {
            Told::text(401, "{}")
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("secret"));
    assert_eq!(adapter.call().await, LAPSED);
    for _ in 0..20 {
        assert_eq!(
            adapter.call().await,
            CallOutcome::Refused(CloudRefusal::CredentialRejected)
        );
    }
    assert_eq!(stub.mints(), 2);
    adapter.skip(Duration::from_secs(60));
    assert_eq!(adapter.call().await, LAPSED, "after a while it is tried once more");
    assert_eq!(stub.mints(), 3);
}

#[tokio::test]
async fn an_api_users_token_is_never_minted_anew() {
    let stub = Stub::minting(|_| Told::text(401, "{}")).await;
    let adapter = Adapter::new(&stub.base_url, CloudCredential::Token("a".repeat(40).into()));
    assert_eq!(
        adapter.call().await,
        CallOutcome::Refused(CloudRefusal::CredentialRejected)
    );
    let check = adapter.particle.check(adapter.product_id).await;
    assert!(matches!(check, Err(CloudError::CredentialRejected)), "{check:?}");
    assert_eq!(stub.mints(), 0);
}

fn refusing_mints() -> impl Fn(&crate::stub::Asked) -> Told + Send + Sync + 'static {
    |asked| {
        assert!(asked.is_mint());
        Told::text(
            400,
            r#"{"error":"invalid_client","error_description":"Client credentials are invalid"}"#,
        )
    }
}

#[tokio::test]
async fn a_refused_credential_is_left_alone_and_given_up_in_the_end() {
    let stub = Stub::start(refusing_mints()).await;
    let adapter = Adapter::new(&stub.base_url, client("wrong"));
    let outcomes = join_all((0..100).map(|_| adapter.call())).await;
    assert!(outcomes.iter().all(|outcome| *outcome == REJECTED), "{outcomes:?}");
    assert_eq!(stub.mints(), 1);
    for _ in 0..200 {
        adapter.skip(Duration::from_secs(3600));
        assert_eq!(adapter.call().await, REJECTED);
    }
    assert_eq!(stub.mints(), 4, "only a new credential helps");
}

#[tokio::test]
async fn saying_the_same_again_does_not_try_a_refused_credential_again() {
    let stub = Stub::start(refusing_mints()).await;
    let adapter = Adapter::new(&stub.base_url, client("wrong"));
    for _ in 0..30 {
        assert_eq!(adapter.call().await, REJECTED);
        let same = connection(&stub.base_url, client("wrong"));
        adapter.particle.connect(adapter.product_id, Some(same));
    }
    assert_eq!(stub.mints(), 1);
}

/// Ten refusals in a row would lock out the address, with every good credential on it (§2.2).
#[tokio::test]
async fn many_bad_credentials_together_never_reach_the_lock_out() {
    let stub = Stub::start(|asked| {
        if asked.is_mint() && !asked.body.contains("good") {
            Told::text(400, r#"{"error":"invalid_client"}"#)
        } else if asked.is_mint() {
            token(1, 7200)
        } else {
            returned(1)
        }
    })
    .await;
    let adapter = Adapter::new(&stub.base_url, client("good"));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    let adapter = Arc::new(adapter);
    let calls = (2..=30).map(|number| {
        let adapter = Arc::clone(&adapter);
        let bad = connection(&stub.base_url, client(&format!("bad-{number}")));
        adapter.particle.connect(product_id(number), Some(bad));
        async move { adapter.particle.check(product_id(number)).await }
    });
    for checked in join_all(calls).await {
        assert!(matches!(checked, Err(CloudError::CredentialRejected)), "{checked:?}");
    }
    let refused = stub.mints() - 1;
    assert!(refused < 10, "{refused} refusals in a row");
    adapter.skip(Duration::from_secs(7200));
    assert_eq!(
        adapter.call().await,
        CallOutcome::Returned(1),
        "a proven credential still mints"
    );
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_or_busy_sends_nothing() {
    let table = [
        (
            Told::text(503, "<html>"),
            CallOutcome::NotSent(NotSent::ConnectionFailed),
        ),
        (Told::text(200, "{}"), CallOutcome::NotSent(NotSent::ConnectionFailed)),
        (Told::Close, CallOutcome::NotSent(NotSent::ConnectionFailed)),
        (
            Told::text(429, "").with("retry-after", "30"),
            CallOutcome::RateLimited {
                retry_after: Some(Duration::from_secs(30)),
            },
        ),
    ];
    for (told, expected) in table {
        let answer = told.clone();
        let stub = Stub::start(move |_| answer.clone()).await;
        let adapter = Adapter::with(options(), &stub.base_url, client("secret"));
        assert_eq!(adapter.call().await, expected, "{told:?}");
        assert_eq!(stub.calls().len(), 0);
    }
}
