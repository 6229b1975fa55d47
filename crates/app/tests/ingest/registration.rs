//! S5, first start: the first report registers a device, every later one changes nothing.

use ostler_app::ingest::{Registered, RegistrationError};
use ostler_core::event::REGISTRATION_EVENT;
use ostler_core::secret::SecretDigest;
use ostler_store::NewDevice;

use super::*;
use crate::world::cloud_id;

impl World {
    async fn credential(&self, product_id: ProductId, number: u64) -> String {
        self.store
            .registration_key(product_id)
            .await
            .unwrap()
            .unwrap()
            .credential_of(&cloud_id(number))
    }
}

on_both! {
    async fn s5_a_device_registers_itself_once(world) {
        let product_id = world.product("thermostat").await;
        let credential = world.credential(product_id, 7).await;
        let register = async || world.app.register_device("thermostat", &cloud_id(7), &credential).await.unwrap();
        let Registered::First(device_id) = register().await else { panic!("it was not known before") };
        let before = world.store.device(device_id).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(register().await, Registered::Again(device_id));
        assert_eq!(world.store.device(device_id).await.unwrap(), before);
        assert_eq!(before.unwrap().registered_at, Some(after(0)));
    }

    async fn s5_an_imported_device_keeps_its_id(world) {
        let product_id = world.product("thermostat").await;
        let imported = world.device(product_id, 7).await;
        let credential = world.credential(product_id, 7).await;
        let registered = world.app.register_device("thermostat", &cloud_id(7), &credential).await.unwrap();
        assert_eq!(registered, Registered::First(imported));
    }

    async fn s5_a_credential_of_its_own_registers_a_device(world) {
        let product_id = world.product("thermostat").await;
        let device = NewDevice {
            product_id,
            cloud_device_id: cloud_id(7),
            name: None,
            credential_digest: Some(SecretDigest::of("engraved")),
        };
        world.store.import_devices(&[device], Actor::System, after(0)).await.unwrap();
        assert!(world.app.register_device("thermostat", &cloud_id(7), "engraved").await.is_ok());
        let other = world.app.register_device("thermostat", &cloud_id(8), "engraved").await;
        assert!(matches!(other, Err(RegistrationError::Refused)));
    }

    async fn s5_nobody_registers_with_a_wrong_credential(world) {
        let product_id = world.product("thermostat").await;
        let vehicle = world.product("vehicle").await;
        let credential = world.credential(product_id, 7).await;
        let of_another_product = world.credential(vehicle, 7).await;
        let wrong = [
            ("thermostat", 8, credential.as_str()),
            ("thermostat", 7, of_another_product.as_str()),
            ("thermostat", 7, ""),
            ("thermostat", 7, "x"),
            ("unknown", 7, credential.as_str()),
        ];
        for (slug, number, credential) in wrong {
            let refused = world.app.register_device(slug, &cloud_id(number), credential).await;
            assert!(matches!(refused, Err(RegistrationError::Refused)), "{slug} {number}");
        }
        assert!(world.store.event_source(&cloud_id(7)).await.unwrap().is_none());
        world.device(vehicle, 9).await;
        let credential = world.credential(product_id, 9).await;
        let elsewhere = world.app.register_device("thermostat", &cloud_id(9), &credential).await;
        assert!(matches!(elsewhere, Err(RegistrationError::Elsewhere)));
    }

    async fn s5_guessing_uses_up_a_budget(world) {
        let product_id = world.product("thermostat").await;
        let credential = world.credential(product_id, 7).await;
        for _ in 0..100 {
            let refused = world.app.register_device("thermostat", &cloud_id(7), "guess").await;
            assert!(matches!(refused, Err(RegistrationError::Refused)));
        }
        let refused = world.app.register_device("thermostat", &cloud_id(7), &credential).await;
        assert!(matches!(refused, Err(RegistrationError::TooManyFailures { .. })));
        world.clock.advance(Duration::from_secs(61));
        assert!(world.app.register_device("thermostat", &cloud_id(7), &credential).await.is_ok());
    }

    async fn s5_the_credential_in_an_event_goes_nowhere(world) {
        let (product_id, _, door) = world.thermostat().await;
        let credential = world.credential(product_id, 7).await;
        let nobody = CloudEvent { source: None, ..event(7, 3, REGISTRATION_EVENT, &credential) };
        world.deliver(&door, vec![
            event(8, 1, REGISTRATION_EVENT, &credential),
            event(7, 2, REGISTRATION_EVENT, &credential),
            event(7, 2, "t/state", r#"{"t":1}"#),
            nobody,
        ]).await;
        let source = world.store.event_source(&cloud_id(7)).await.unwrap().expect("registered by the event");
        assert!(world.store.event_source(&cloud_id(8)).await.unwrap().is_none());
        let events = world.events(source.device_id).await;
        let told: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.data.as_deref())).collect();
        assert!(told.contains(&(REGISTRATION_EVENT, None)) && told.contains(&("t/state", Some(r#"{"t":1}"#))));
        let rejected = world.rejected(product_id).await;
        assert_eq!(rejected.len(), 2);
        assert!(!format!("{events:?} {rejected:?}").contains(&credential));
        // Again, by the same door: nothing changes.
        let before = world.store.device(source.device_id).await.unwrap().unwrap().registered_at;
        world.clock.advance(Duration::from_secs(9));
        world.deliver(&door, vec![event(7, 9, REGISTRATION_EVENT, &credential)]).await;
        assert_eq!(world.store.device(source.device_id).await.unwrap().unwrap().registered_at, before);
    }
}
