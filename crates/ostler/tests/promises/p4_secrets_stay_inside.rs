//! P4: no answer, log line, metric or stored byte shows a device-cloud token or client secret in clear,
//! whatever goes wrong at the cloud and however much the log is asked to tell.

use ostler_sim::{Fault, FaultKind};
use serde_json::json;

use crate::world::{Heard, Installation, On, on_both};

on_both! {
    async fn p4_no_cloud_secret_is_told_logged_measured_or_stored_in_clear(installation) {
        installation.restart_with(&[("OSTLER_LOG_LEVEL", "trace")]);
        let heard = Heard::default();
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let (ada, maker) = (ada.heard_by(&heard), installation.maker().await.heard_by(&heard));
        let owner = installation.owner().await.heard_by(&heard);
        let sim = installation.sim();

        // A working day at the cloud, and a bad one.
        ada.call(&device, "setTarget", "20").await.expect(200);
        for fault in [
            Fault::new(FaultKind::Status).with_status(500),
            Fault::new(FaultKind::Status).with_status(401),
            Fault::new(FaultKind::Status).with_status(403),
            Fault::new(FaultKind::EdgeError),
            Fault::new(FaultKind::Offline),
        ] {
            sim.add_fault(fault.on(&cloud_id).times(1));
            ada.call(&device, "setTarget", "21").await;
            ada.get(&format!("/v1/devices/{device}/variables/target")).await;
        }
        let minted_before = sim.secrets();
        sim.add_fault(Fault::new(FaultKind::ExpireTokens));
        ada.call(&device, "setTarget", "22").await.expect(200);
        assert!(sim.secrets().len() > minted_before.len(), "another token was minted");

        // Staff look at everything and change the connection: to another client, to a wrong secret, to a lasting token.
        let product = format!("/admin/v1/products/{}", fleet.product_id);
        let at_cloud = sim.facts().products.into_iter().find(|product| product.slug == fleet.slug).unwrap();
        let (client_id, client_secret) = sim.add_client(at_cloud.id, "second");
        let api_user = sim.product_token(at_cloud.id);
        let connection = |credential: serde_json::Value| {
            let mut connection = json!({"kind": "particle", "base_url": installation.sim_url(), "product": at_cloud.id.to_string()});
            connection.as_object_mut().unwrap().extend(credential.as_object().unwrap().clone());
            connection
        };
        let wrong_secret = "feedfacefeedfacefeedfacefeedfacefeedface";
        for credential in [
            json!({"client_id": client_id, "client_secret": client_secret}),
            json!({"client_id": client_id, "client_secret": wrong_secret}),
            json!({"access_token": api_user}),
            json!({"client_id": client_id, "access_token": api_user}),
        ] {
            maker.put(&format!("{product}/cloud"), &connection(credential)).await;
            ada.call(&device, "setTarget", "23").await;
            for path in ["/cloud", "/export", "", "/versions"] {
                owner.get(&format!("{product}{path}")).await;
            }
            maker.post(&format!("{product}/webhook"), &json!({})).await;
            maker.post(&format!("{product}/devices/import?dry_run=true"), &json!({})).await;
        }
        let rejected = format!("/admin/v1/rejected-events?product={}", fleet.product_id);
        for path in ["/admin/v1/audit", "/admin/v1/commands", "/admin/v1/clients", "/admin/v1/devices", &rejected] {
            owner.get(path).await.expect(200);
        }
        let metrics = installation.anonymous().heard_by(&heard).get("/metrics").await.expect(200);
        assert!(metrics.text.contains("ostler_cloud_requests_total"), "{metrics:?}");

        let mut secrets = minted_before;
        secrets.extend(sim.secrets());
        secrets.push(wrong_secret.to_owned());
        assert!(secrets.contains(&at_cloud.client_secret) && secrets.contains(&client_secret) && secrets.contains(&api_user));
        heard.assert_never(secrets.iter().map(String::as_str));
        heard.assert_no_token_shape();
        let log = installation.log();
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log tells all it can");
        for secret in &secrets {
            assert!(!log.contains(secret), "{secret} in the log: {:?}", log.lines().find(|line| line.contains(secret)));
            assert!(!installation.stored_bytes_contain(secret), "{secret} in the database");
        }
        // The search sees what is there.
        assert!(installation.stored_bytes_contain(&cloud_id.to_string()));
    }
}
