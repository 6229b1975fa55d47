//! The end of tokens: RFC 7009, codes that come twice, accounts and clients that end.

use ostler_app::call_function::{CallFunctionError, CallRequest, Wait};
use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{DeviceId, GrantId};
use ostler_core::interval::Interval;
use ostler_core::policy::{Denied, FunctionCall};
use ostler_core::product_file::ProductFile;
use ostler_server::edge::OsEntropy;
use ostler_store::{Actor, Applied, DeviceImported, NewDevice, Said};

use super::door::{Door, error, on_both};

impl Door {
    /// A device that Ada owns.
    async fn adas_device(&self) -> DeviceId {
        let file = r#"{"slug": "lamp", "name": "Lamp", "functions": [{"name": "on", "argument": {"type": "none"}}]}"#;
        let file = ProductFile::from_json(file).unwrap();
        let Applied::Created { id: product_id } = self
            .store
            .apply_product(&file, Actor::System, self.now())
            .await
            .unwrap()
        else {
            panic!("the product is new");
        };
        let cloud_device_id = "e00fce680000000000000001".parse().unwrap();
        let device = NewDevice {
            product_id,
            cloud_device_id,
            name: None,
            credential_digest: None,
        };
        let imported = self
            .store
            .import_devices(&[device], Actor::System, self.now())
            .await
            .unwrap();
        let DeviceImported::Imported(device_id) = imported[0] else {
            panic!("the device is new")
        };
        let grant = Grant {
            id: GrantId::draw(self.now(), &OsEntropy),
            version: 1,
            customer_id: self.ada,
            device_id,
            source: GrantSource::Owner,
            functions: Allowance::All,
            variables: Allowance::All,
            keys: Allowance::All,
            history: Interval::ALWAYS,
            starts_at: self.now(),
            ends_at: None,
        };
        let said = Said {
            by: Actor::System,
            reason: None,
        };
        self.store.create_grant(grant, said, self.now()).await.unwrap();
        device_id
    }
}

fn call(device_id: DeviceId) -> CallRequest {
    CallRequest {
        call: FunctionCall {
            device_id,
            function: "on".parse().unwrap(),
            argument: "".into(),
        },
        on_behalf_of: None,
        reason: None,
        idempotency_key: None,
        wait: Wait::ForOutcome,
    }
}

on_both! {
    async fn p1_after_revocation_nothing_acts_by_the_token(door) {
        let web = door.web().await;
        let tokens = door.signed_in(&web).await;
        assert_eq!(door.form_by(&web, "/oauth/revoke", &[("token", &tokens.access)]).await.status, 200);
        assert!(!door.is_good(&tokens.access).await);
        // Only that token: the app may refresh.
        assert_eq!(door.refresh(&web, tokens.refresh()).await.status, 200);
        // It has ended already.
        assert_eq!(door.form_by(&web, "/oauth/revoke", &[("token", &tokens.access)]).await.status, 200);
        assert!(door.store.model_agrees().await.unwrap());
    }

    async fn p1_a_revoked_refresh_token_takes_its_family_along(door) {
        let web = door.web().await;
        let (tokens, others) = (door.signed_in(&web).await, door.signed_in(&web).await);
        let hint = ("token_type_hint", "access_token");
        assert_eq!(door.form_by(&web, "/oauth/revoke", &[("token", tokens.refresh()), hint]).await.status, 200);
        assert!(!door.is_good(&tokens.access).await);
        assert_eq!(error(&door.refresh(&web, tokens.refresh()).await), "invalid_grant");
        assert!(door.is_good(&others.access).await);
        assert!(door.store.model_agrees().await.unwrap());
    }

    async fn p1_a_code_that_comes_twice_ends_what_it_gave(door) {
        let native = door.native().await;
        let code = door.browser().code(&native).await;
        let tokens = super::door::Tokens::of(&door.redeem(&native, &code).await);
        assert!(door.is_good(&tokens.access).await);
        assert_eq!(error(&door.redeem(&native, &code).await), "invalid_grant");
        assert!(!door.is_good(&tokens.access).await);
        assert_eq!(error(&door.refresh(&native, tokens.refresh()).await), "invalid_grant");
    }

    async fn p1_a_closed_account_opens_nothing(door) {
        let web = door.web().await;
        let mut browser = door.browser();
        let code = browser.code(&web).await;
        let tokens = super::door::Tokens::of(&door.redeem(&web, &code).await);
        let unused = door.browser().code(&web).await;
        door.app.close_customer(door.ada, Actor::System).await.unwrap();
        assert!(!door.is_good(&tokens.access).await);
        assert_eq!(error(&door.refresh(&web, tokens.refresh()).await), "invalid_grant");
        assert_eq!(error(&door.redeem(&web, &unused).await), "invalid_grant");
        // The browser is signed out, and cannot sign in again.
        let path = super::door::authorize_path(&web, &[]);
        assert!(browser.get(&path).await.text.contains("current-password"));
        assert_eq!(browser.sign_in(&path).await.status, 403);
        assert!(door.store.model_agrees().await.unwrap());
    }

    async fn p1_a_token_that_ends_between_the_door_and_the_decision_decides_nothing(door) {
        let web = door.web().await;
        let device_id = door.adas_device().await;
        let tokens = door.signed_in(&web).await;
        let caller = door.app.authenticate(&tokens.access).await.unwrap();
        // No cloud is connected, so the call ends as not sent; what counts is that it was allowed.
        assert!(door.app.call_function(&caller, call(device_id)).await.is_ok());
        assert_eq!(door.form_by(&web, "/oauth/revoke", &[("token", &tokens.access)]).await.status, 200);
        let refused = door.app.call_function(&caller, call(device_id)).await;
        assert!(matches!(refused, Err(CallFunctionError::Denied { denied: Denied::NoGrant, .. })));
    }

    async fn another_clients_token_is_not_ended(door) {
        let (web, other) = (door.web().await, door.web().await);
        let tokens = door.signed_in(&web).await;
        assert_eq!(error(&door.form_by(&other, "/oauth/revoke", &[("token", &tokens.access)]).await), "invalid_grant");
        assert_eq!(door.form_by(&other, "/oauth/revoke", &[("token", tokens.refresh())]).await.status, 200);
        assert_eq!(door.form_by(&other, "/oauth/revoke", &[("token", "nonsense")]).await.status, 200);
        assert_eq!(error(&door.form_by(&other, "/oauth/revoke", &[]).await), "invalid_request");
        assert!(door.is_good(&tokens.access).await);
        assert_eq!(door.refresh(&web, tokens.refresh()).await.status, 200);
    }
}
