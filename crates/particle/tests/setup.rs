//! `ostler connect particle`, against the simulated cloud: least rights, nothing twice.

use std::time::Duration;

use ostler_app::device_cloud::{CloudCredential, DeviceCloud, HookStep};
use ostler_core::command::CallOutcome;
use ostler_particle::setup::{SetupCredential, SetupFault, SetupRequest, SetupStep};
use ostler_sim::CredentialKind;

use crate::simulated::{Barn, MAKER, PASSWORD};
use crate::support::{Adapter, connection, options};

fn request(barn: &Barn, credential: SetupCredential) -> SetupRequest {
    SetupRequest {
        base_url: barn.sim.base_url(),
        cloud_product: "40123".into(),
        credential,
        stored: None,
        hook: Some(crate::hooks::request()),
    }
}

fn password(text: &str) -> SetupCredential {
    SetupCredential::UserPassword {
        username: MAKER.into(),
        password: text.into(),
    }
}

const fn is_unchanged(step: &SetupStep) -> bool {
    matches!(step, SetupStep::Hook(HookStep::Unchanged { .. }))
}

#[tokio::test]
async fn from_a_password_to_an_api_user_and_hooks() {
    let barn = Barn::new().await;
    let adapter = Adapter::unconnected(options());
    let mut request = request(&barn, password(PASSWORD));

    let plan = adapter.particle.plan_setup(&request).await.unwrap();
    assert_eq!(plan[0], SetupStep::CreateApiUser);
    assert_eq!(plan.len(), 3);
    assert_eq!(barn.cloud.hooks().len(), 0, "a plan changes nothing");

    let done = adapter.particle.apply_setup(&request).await.unwrap();
    assert_eq!(done.steps, plan);
    assert_eq!(barn.cloud.hooks().len(), 2);
    let stored = connection(&barn.sim.base_url(), done.credential.clone());
    adapter.particle.connect(adapter.product_id, Some(stored));
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
    assert_eq!(barn.cloud.acts(0)[0].credential, CredentialKind::ApiUser);

    request.stored = Some(done.credential);
    let again = adapter.particle.apply_setup(&request).await.unwrap();
    assert_eq!(again.steps[0], SetupStep::KeepStoredCredential);
    assert!(again.steps[1..].iter().all(is_unchanged), "{again:?}");
    assert_eq!(adapter.call().await, CallOutcome::Returned(1));
}

#[tokio::test]
async fn a_lost_token_is_replaced_not_added_to() {
    let barn = Barn::new().await;
    let adapter = Adapter::unconnected(options());
    let mut request = request(
        &barn,
        SetupCredential::UserToken(barn.cloud.user_token(&barn.cloud.maker()).into()),
    );
    let first = adapter.particle.apply_setup(&request).await.unwrap();
    request.stored = Some(CloudCredential::Token("f".repeat(40).into()));
    let second = adapter.particle.apply_setup(&request).await.unwrap();
    assert!(matches!(&second.steps[0], SetupStep::ReplaceApiUserToken { username } if username.starts_with("ostler+")));
    assert!(second.steps[1..].iter().all(is_unchanged), "{second:?}");
    for (credential, works) in [(first.credential, false), (second.credential, true)] {
        let connection = connection(&barn.sim.base_url(), credential);
        adapter.particle.connect(adapter.product_id, Some(connection));
        assert_eq!(adapter.particle.check(adapter.product_id).await.is_ok(), works);
    }
}

#[tokio::test]
async fn a_product_client_is_kept_as_it_is() {
    let barn = Barn::new().await;
    let adapter = Adapter::unconnected(options());
    let credential = SetupCredential::ProductClient {
        client_id: barn.client.0.clone(),
        client_secret: barn.client.1.clone().into(),
    };
    let done = adapter.particle.apply_setup(&request(&barn, credential)).await.unwrap();
    let client_id = barn.client.0.clone();
    assert_eq!(done.steps[0], SetupStep::KeepProductClient { client_id });
    assert!(matches!(done.credential, CloudCredential::Client { .. }));
    assert_eq!(barn.asked("/v1/products/40123/team"), 0);
}

#[tokio::test]
async fn a_wrong_password_is_tried_few_times_whatever_the_maker_does() {
    let barn = Barn::new().await;
    let adapter = Adapter::unconnected(options());
    for _ in 0..30 {
        let refused = adapter.particle.plan_setup(&request(&barn, password("wrong"))).await;
        assert!(matches!(refused, Err(SetupFault::CredentialRejected)), "{refused:?}");
    }
    assert!(barn.asked("/oauth/token") < 10, "ten would lock this address out");
    adapter.skip(Duration::from_secs(31 * 60));
    assert!(
        adapter
            .particle
            .plan_setup(&request(&barn, password(PASSWORD)))
            .await
            .is_ok()
    );
}
