//! S5: a device reports its id with a hardware credential. The first report registers it, every
//! later one changes nothing, and the credential is nowhere to be found afterwards.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ostler_testkit::eventually_async;
use serde_json::json;

use super::on_both;
use crate::world::{Caller, Fleet, Installation, On};

/// As the factory computes it: base64url of HMAC-SHA256(registration key, cloud id).
async fn credentials(installation: &Installation, fleet: &Fleet) -> impl Fn(&str) -> String + use<> {
    let maker = installation.maker().await;
    let made = maker
        .post(
            &format!("/admin/v1/products/{}/registration-key", fleet.product_id),
            &json!({}),
        )
        .await;
    assert!(made.status.is_success(), "{made:?}");
    let key = URL_SAFE_NO_PAD
        .decode(made.at("/registration_key").as_str().unwrap())
        .unwrap();
    let key = ostler_core::registration::RegistrationKey::from_bytes(key.try_into().unwrap());
    move |cloud_id| key.credential_of(&cloud_id.parse().unwrap())
}

fn unregistered(installation: &Installation) -> Vec<ostler_sim::DeviceId> {
    let devices = installation.sim().facts().devices;
    devices
        .into_iter()
        .filter(|device| !device.in_service)
        .map(|device| device.cloud_id)
        .collect()
}

async fn register(installation: &Installation, cloud_id: &str, credential: &str) -> crate::world::Answer {
    let body = json!({"cloud_id": cloud_id, "credential": credential});
    installation
        .anonymous()
        .post("/ingest/registrations/thermostat", &body)
        .await
}

async fn device_id_of(maker: &Caller, fleet: &Fleet, cloud_id: &str) -> Option<String> {
    let listed = maker
        .get(&format!("/admin/v1/devices?product={}&limit=500", fleet.product_id))
        .await
        .expect(200);
    let items = listed.at("/items");
    let device = items
        .as_array()
        .unwrap()
        .iter()
        .find(|device| device["cloud_id"] == cloud_id)?;
    device["id"].as_str().map(str::to_owned)
}

on_both! {
    async fn s5_the_first_report_registers_and_every_later_one_changes_nothing(installation) {
        let fleet = installation.thermostats().await;
        let credential_of = credentials(&installation, &fleet).await;
        let cloud_id = unregistered(&installation)[0].to_string();
        let maker = installation.maker().await;

        let wrong = register(&installation, &cloud_id, &credential_of("0123456789abcdef01234567")).await.expect(401);
        let unknown = {
            let body = json!({"cloud_id": cloud_id, "credential": credential_of(&cloud_id)});
            installation.anonymous().post("/ingest/registrations/no-such-product", &body).await.expect(401)
        };
        let without_id = |answer: &crate::world::Answer| { let mut json = answer.json(); json["request_id"].take(); json };
        assert_eq!(without_id(&wrong), without_id(&unknown));
        assert_eq!(device_id_of(&maker, &fleet, &cloud_id).await, None);

        let first = register(&installation, &cloud_id, &credential_of(&cloud_id)).await.expect(201);
        let device_id = first.at("/device_id");
        let before = maker.get(&format!("/admin/v1/devices/{}", device_id.as_str().unwrap())).await.expect(200);
        for _ in 0..3 {
            let again = register(&installation, &cloud_id, &credential_of(&cloud_id)).await.expect(200);
            assert_eq!(again.json(), first.json());
        }
        let after = maker.get(&format!("/admin/v1/devices/{}", device_id.as_str().unwrap())).await.expect(200);
        assert_eq!(before.at("/registered_at"), after.at("/registered_at"));
        // It may be given to a customer at once.
        let (_, ada) = installation.customer_with("ada", device_id.as_str().unwrap()).await;
        ada.get(&format!("/v1/devices/{}", device_id.as_str().unwrap())).await.expect(200);
    }
}

on_both! {
    async fn s5_a_device_registers_itself_by_an_event_and_its_credential_is_nowhere(installation) {
        let fleet = installation.thermostats().await;
        let credential_of = credentials(&installation, &fleet).await;
        let cloud_id = unregistered(&installation)[1].clone();
        let credential = credential_of(&cloud_id.to_string());
        let maker = installation.maker().await;
        assert!(installation.sim().publish_as(&cloud_id, "ostler/register", Some(&credential)));
        let device_id = eventually_async("the device that registered itself", Duration::from_secs(15), || {
            let (maker, fleet, cloud_id) = (maker.clone(), &fleet, cloud_id.to_string());
            async move { device_id_of(&maker, fleet, &cloud_id).await }
        }).await;

        let mut shown = String::new();
        for path in [
            format!("/admin/v1/devices/{device_id}/events"),
            format!("/admin/v1/devices/{device_id}"),
            "/admin/v1/audit".to_owned(),
            format!("/admin/v1/rejected-events?product={}", fleet.product_id),
        ] {
            shown.push_str(&maker.get(&path).await.expect(200).text);
        }
        assert!(!shown.contains(&credential), "{shown}");
        assert!(!installation.log().contains(&credential));
        assert!(!installation.stored_bytes_contain(&credential));
    }
}
