//! P1: once the API has answered that a grant, token, account or client ended, no call by it reaches
//! the device cloud any more; and a grant's end time needs no job to take effect.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ostler_core::permit::PERMIT_LIFETIME;
use ostler_core::port::Clock as _;
use ostler_core::time::Timestamp;
use ostler_server::edge::SystemClock;
use ostler_sim::{DeviceId as CloudDeviceId, Fault, FaultKind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{await_calls_at_cloud, calls_at_cloud};
use crate::world::{Answer, Caller, Customer, Installation, On, REDIRECT_URI, on_both, sign_in};

/// A customer's app that calls a function over and over, from several places at once.
struct Siege {
    ended: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<Call>>>,
}

struct Call {
    /// Whether it was made after the end had been answered.
    is_late: bool,
    answer: Answer,
}

impl Siege {
    const CALLERS: usize = 4;

    fn lay(caller: &Caller, device: &str) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let callers = (0..Self::CALLERS)
            .map(|_| tokio::spawn(keep_calling(caller.clone(), device.to_owned(), Arc::clone(&ended))));
        Self {
            callers: callers.collect(),
            ended,
        }
    }

    /// Everybody makes one call more, then stops.
    async fn raise(self) -> Vec<Call> {
        self.ended.store(true, Ordering::SeqCst);
        let mut calls = Vec::new();
        for caller in self.callers {
            calls.extend(caller.await.unwrap());
        }
        calls
    }
}

async fn keep_calling(caller: Caller, device: String, ended: Arc<AtomicBool>) -> Vec<Call> {
    let mut calls = Vec::new();
    loop {
        let is_late = ended.load(Ordering::SeqCst);
        calls.push(Call {
            is_late,
            answer: caller.call(&device, "setTarget", "20").await,
        });
        if is_late {
            return calls;
        }
    }
}

/// Ends a right in the middle of a siege: from then on every call is answered `refusal`, and the cloud
/// has seen no call but those that were told to have got through.
async fn assert_end_holds<End>(
    installation: &Installation,
    caller: &Caller,
    device: &(String, CloudDeviceId),
    end: End,
    refusal: (u16, &str),
) where
    End: AsyncFnOnce() -> Answer,
{
    let (device, cloud_id) = device;
    let siege = Siege::lay(caller, device);
    await_calls_at_cloud(installation, cloud_id, 3 * Siege::CALLERS).await;
    let ended = end().await;
    assert!(ended.status.is_success(), "{ended:?}");
    let calls = siege.raise().await;

    let through = calls.iter().filter(|call| call.answer.status == 200).count();
    assert_eq!(
        calls_at_cloud(installation, cloud_id).len(),
        through,
        "the cloud saw a call that was not told"
    );
    let late: Vec<_> = calls.into_iter().filter(|call| call.is_late).collect();
    assert_eq!(late.len(), Siege::CALLERS);
    for Call { answer, .. } in late {
        answer.expect_problem(refusal.0, refusal.1);
    }
}

on_both! {
    async fn p1_the_end_of_a_grant_lists_what_had_left_and_nothing_else_leaves(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let client_id = installation.app_client().await;
        let (ada, bob) = (installation.customer("ada").await, installation.customer("bob").await);
        let adas_grant = installation.grant(&ada, &device, json!({})).await;
        installation.grant(&bob, &device, json!({"source": "share"})).await;
        let (ada, bob) = (installation.signed_in(&client_id, &ada).await, installation.signed_in(&client_id, &bob).await);

        installation.sim().add_fault(Fault::new(FaultKind::Latency).on(&cloud_id).for_ms(3_000));
        let by = |caller: &Caller, argument: &'static str| {
            let (caller, device) = (caller.clone(), device.clone());
            tokio::spawn(async move { caller.call(&device, "setTarget", argument).await })
        };
        let (first, second, bobs) = (by(&ada, "20"), by(&ada, "21"), by(&bob, "22"));
        await_calls_at_cloud(&installation, &cloud_id, 3).await;
        let ended = installation.maker().await.post(&format!("/admin/v1/grants/{adas_grant}/end"), &json!({})).await.expect(200);
        let refused = ada.call(&device, "setTarget", "23").await.expect_problem(404, "not-found");
        assert!(!refused.text.contains("cmd_"), "{refused:?}");

        let left: BTreeSet<_> = [first.await.unwrap(), second.await.unwrap()].map(|call| call.expect(200).at("/command_id").to_string()).into();
        let told: BTreeSet<_> = ended.at("/in_flight").as_array().unwrap().iter().map(Value::to_string).collect();
        assert_eq!(told, left);
        bobs.await.unwrap().expect(200);
        assert_eq!(calls_at_cloud(&installation, &cloud_id).len(), 3);
        ada.get(&format!("/v1/devices/{device}")).await.expect_problem(404, "not-found");
    }
}

on_both! {
    async fn p1_after_the_end_of_a_grant_no_call_by_it_reaches_the_cloud(installation) {
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].clone();
        let (customer, maker) = (installation.customer("ada").await, installation.maker().await);
        let grant = installation.grant(&customer, &device.0, json!({})).await;
        let ada = installation.signed_in(&installation.app_client().await, &customer).await;
        let end = async || maker.post(&format!("/admin/v1/grants/{grant}/end"), &json!({})).await;
        assert_end_holds(&installation, &ada, &device, end, (404, "not-found")).await;
    }
}

/// A customer who owns the device and has signed in through an app.
async fn owner(installation: &Installation, device: &str) -> (Customer, String, Caller) {
    let customer = installation.customer("ada").await;
    installation.grant(&customer, device, json!({})).await;
    let client_id = installation.app_client().await;
    let caller = installation.signed_in(&client_id, &customer).await;
    (customer, client_id, caller)
}

on_both! {
    async fn p1_after_the_end_of_a_token_no_call_by_it_reaches_the_cloud(installation) {
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].clone();
        let (customer, client_id, ada) = owner(&installation, &device.0).await;
        let other_phone = installation.signed_in(&client_id, &customer).await;
        let anonymous = installation.anonymous();
        let form = [("client_id", client_id.as_str()), ("token", ada.token().unwrap())];
        let end = async || anonymous.send(anonymous.request(reqwest::Method::POST, "/oauth/revoke").form(&form)).await;
        assert_end_holds(&installation, &ada, &device, end, (401, "unauthenticated")).await;
        other_phone.call(&device.0, "setTarget", "21").await.expect(200);
    }
}

on_both! {
    async fn p1_a_refresh_token_that_ends_takes_what_descends_from_it_along(installation) {
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].clone();
        let (customer, client_id, _) = owner(&installation, &device.0).await;
        let tokens = sign_in(installation.base(), &client_id, REDIRECT_URI, &customer, "devices:control offline_access").await;
        assert!(tokens.scope.contains("offline_access"), "{tokens:?}");
        let ada = Caller::new(installation.base(), Some(tokens.access_token));
        let anonymous = installation.anonymous();
        let form = [("client_id", client_id), ("token", tokens.refresh_token.unwrap())];
        let end = async || anonymous.send(anonymous.request(reqwest::Method::POST, "/oauth/revoke").form(&form)).await;
        assert_end_holds(&installation, &ada, &device, end, (401, "unauthenticated")).await;
    }
}

on_both! {
    async fn p1_after_the_end_of_an_account_no_call_by_it_reaches_the_cloud(installation) {
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].clone();
        let (customer, _, ada) = owner(&installation, &device.0).await;
        let maker = installation.maker().await;
        let end = async || maker.post(&format!("/admin/v1/customers/{}/close", customer.id), &json!({})).await;
        assert_end_holds(&installation, &ada, &device, end, (401, "unauthenticated")).await;
        // Nor when the maker's server speaks for that customer.
        let on_behalf = json!({"argument": "20", "customer_id": customer.id});
        let path = format!("/admin/v1/devices/{}/functions/setTarget", device.0);
        let before = calls_at_cloud(&installation, &device.1).len();
        maker.post(&path, &on_behalf).await.expect_problem(404, "not-found");
        assert_eq!(calls_at_cloud(&installation, &device.1).len(), before);
    }
}

on_both! {
    async fn p1_after_the_end_of_a_client_no_call_through_it_reaches_the_cloud(installation) {
        let fleet = installation.thermostats().await;
        let device = fleet.devices[0].clone();
        let (_, client_id, ada) = owner(&installation, &device.0).await;
        let maker = installation.maker().await;
        let end = async || maker.post(&format!("/admin/v1/clients/{client_id}/end"), &json!({})).await;
        assert_end_holds(&installation, &ada, &device, end, (401, "unauthenticated")).await;
    }
}

on_both! {
    async fn p1_an_end_time_passes_without_anybody_doing_anything(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let customer = installation.customer("ada").await;
        let ada = installation.signed_in(&installation.app_client().await, &customer).await;
        let ends_at = Timestamp::from_millis(SystemClock.now().millis() + 2_500);
        installation.grant(&customer, &device, json!({"ends_at": ends_at.to_string()})).await;
        ada.call(&device, "setTarget", "19").await.expect(200);

        let mut through = 1;
        let refused = loop {
            let asked_at = SystemClock.now();
            let answer = ada.call(&device, "setTarget", "20").await;
            if answer.status != 200 {
                break answer;
            }
            assert!(asked_at < ends_at, "asked at {asked_at}, for a grant that ended at {ends_at}: {answer:?}");
            through += 1;
        };
        refused.expect_problem(404, "not-found");
        assert!(SystemClock.now() >= ends_at);
        let calls = calls_at_cloud(&installation, &cloud_id);
        assert_eq!(calls.len(), through);
        let lapses_at = ends_at.millis() + i64::try_from(PERMIT_LIFETIME.as_millis()).unwrap();
        assert!(calls.iter().all(|call| call.at < lapses_at), "{calls:?}");
        assert_eq!(ada.get("/v1/devices").await.expect(200).at("/items"), json!([]));
        ada.get(&format!("/v1/devices/{device}/latest")).await.expect_problem(404, "not-found");
    }
}
